"""Our own lines: what they name exists, and the last one writes what is built from."""

import shlex
from typing import Any

import msgspec
import pytest
import typer

from deployopt.catalogue.models import find_entry
from deployopt.cli.main import command_line
from deployopt.core.artifact import Precision
from deployopt.core.memory import Method, Optimizer, Sharding, Training
from deployopt.core.tasks import ModelTask
from deployopt.planning.recommending.ours import our_lines, teaches
from deployopt.planning.recommending.run import Run


def run(alias: str = "distilbert", **changed: object) -> Run:
    return Run(
        entry=find_entry(alias),
        task=ModelTask.TEXT_CLASSIFICATION,
        training=msgspec.structs.replace(
            Training(batch=16, length=128, precision=Precision.BF16), **changed
        ),
        accumulation=2,
        epochs=3,
        learning_rate=2e-5,
        warmup_share=0.1,
        examples=8000,
    )


def parsed(line: str) -> dict[str, Any]:
    """The options as the real parser reads them; nothing is run."""
    words = shlex.split(line)
    words = words[words.index("deployopt") + 1 :]
    group: Any = typer.main.get_command(command_line())
    parent = group.make_context("deployopt", ["targets"])
    options: dict[str, Any] = (
        group.commands[words[0]].make_context(words[0], words[1:], parent=parent).params
    )
    return options


@pytest.mark.parametrize("method", list(Method))
@pytest.mark.parametrize("optimizer", list(Optimizer))
def test_the_line_is_one_that_the_command_takes(method: Method, optimizer: Optimizer) -> None:
    found = our_lines(run(method=method, optimizer=optimizer, checkpointing=True), "rtx4090", None)
    assert found is not None
    options = parsed(found.lines[0])
    assert options["method"] == method
    assert options["optimizer"] == optimizer
    assert (options["epochs"], options["batch"], options["accumulation"]) == (3, 16, 2)
    assert (options["learning_rate"], options["warmup"]) == (2e-5, 0.1)
    assert options["checkpointing"]
    assert str(options["output"]) == found.folder == "./distilbert-tuned"
    assert found.judges == "./distilbert-tuned/held-out.jsonl"


def test_a_teacher_is_tuned_and_teaches_what_was_tuned() -> None:
    found = our_lines(run(), "rtx4090", "bert-base")
    assert found is not None
    student, teacher, lesson = map(parsed, found.lines)
    assert (student["model"], teacher["model"]) == ("distilbert", "bert-base")
    assert str(teacher["output"]) in lesson["teacher"]
    assert str(student["output"]) in lesson["student"]
    assert found.folder.endswith(str(lesson["output"]))
    assert lesson["eval_data"] == found.judges


def test_several_cards_go_through_torchrun_and_shards_do_not() -> None:
    two = our_lines(run(devices=2, sharding=Sharding.DDP), "a100x4", None)
    assert two is not None
    assert two.lines[0].startswith("torchrun --nproc_per_node 2 -m deployopt finetune ")
    assert our_lines(run(devices=2, sharding=Sharding.FSDP), "a100x4", None) is None


def test_what_is_not_ours() -> None:
    other = msgspec.structs.replace(run(), task=ModelTask.TOKEN_CLASSIFICATION)
    assert our_lines(other, "rtx4090", None) is None
    assert our_lines(run("tinybert-4l"), "rtx4090", None) is None
    assert not teaches(ModelTask.IMAGE_CLASSIFICATION, "resnet-50")
    assert not teaches(ModelTask.TEXT_CLASSIFICATION, None)


def test_images_are_judged_with_a_folder_of_their_own() -> None:
    image = msgspec.structs.replace(run("resnet-50"), task=ModelTask.IMAGE_CLASSIFICATION)
    found = our_lines(image, "rtx3060", "vit-base")
    assert found is not None
    assert len(found.lines) == 1
    assert found.judges == "validation"
    assert "--length" not in found.lines[0]


def test_a_language_model_learns_from_dialogues_and_its_build_is_judged_by_the_held_out() -> None:
    chat = msgspec.structs.replace(
        run("demo-chat", method=Method.LORA, rank=8, length=768), task=ModelTask.TEXT_GENERATION
    )
    found = our_lines(chat, "x86-cpu", None)
    assert found is not None
    options = parsed(found.lines[0])
    assert (options["model"], options["data"]) == ("demo-chat", "dialogues.jsonl")
    assert (options["method"], options["rank"], options["length"]) == (Method.LORA, 8, 768)
    assert found.judges == f"{found.folder}/held-out.jsonl" == "./demo-chat-tuned/held-out.jsonl"
