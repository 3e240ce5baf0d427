"""Language models tuned, whole: the real trainer over a tiny Llama, in seconds."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from deployopt import api
from deployopt.core.errors import CannotFitError, UsageError
from deployopt.core.memory import Method
from deployopt.core.training_result import FinetuneResult
from deployopt.pipeline.training_checkpoints import StoreCheckpoints
from deployopt.sources.dialogues import read_dialogues
from deployopt.sources.models import resolve_model
from deployopt.store.store import Store
from tests.fakes import hurried
from tests.fakes.chat import sentences, write_tiny_llama
from tests.fakes.dialogues import exchanges, write_dialogues, write_lines
from tests.fakes.models import write_target
from tests.functional.conftest import check_schema, child_environment

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tune")
    write_tiny_llama(root / "base")
    write_dialogues(root / "d.jsonl", 90)
    write_target(root / "here.toml")
    return root


def tuned(room: Path, output: Path, **options: Any) -> FinetuneResult:
    chosen: dict[str, Any] = {
        "model": str(room / "base"),
        "data": room / "d.jsonl",
        "target": room / "here.toml",
        "method": Method.LORA,
        "epochs": 3,
        "batch": 8,
        "accumulation": 1,
        "learning_rate": 1e-2,
        "store": room / "store",
    }
    return api.finetune(output=output, **(chosen | options))


def weights(folder: Path) -> dict[str, Any]:
    from safetensors.numpy import load_file

    found: dict[str, Any] = load_file(folder / "model.safetensors")
    return found


def test_adapters_teach_and_are_merged_into_a_folder_that_build_takes(
    room: Path, tmp_path: Path
) -> None:
    result = tuned(room, tmp_path / "model")
    held = result.held_dialogues
    assert held is not None
    assert held.better
    assert held.change < -0.05
    assert held.lower < held.change < held.upper < 0
    assert held.dialogues == result.examples["held-out"]
    assert sum(result.examples.values()) == 90
    assert result.held_out is None
    assert result.curve[-1].loss < result.curve[0].loss
    assert all(one.accuracy is None for one in result.evaluations)
    assert result.memory.measured_bytes > 50e6
    check_schema("finetune-result", json.loads(msgspec.json.encode(result)))
    before, after = weights(room / "base"), weights(tmp_path / "model")
    assert before.keys() == after.keys()
    moved = "model.layers.0.self_attn.q_proj.weight"
    assert not np.array_equal(before[moved], after[moved])
    for kept in ("model.embed_tokens.weight", "model.norm.weight"):
        assert np.array_equal(before[kept], after[kept])
    assert (tmp_path / "model" / "chat_template.jinja").is_file()
    with Store(tmp_path / "other") as store:
        source = resolve_model(str(tmp_path / "model"), store=store)
    assert source.interface.generates
    again = read_dialogues(tmp_path / "model" / "held-out.jsonl")
    assert len(again.dialogues) == result.examples["held-out"]
    rows = (tmp_path / "model" / "held-out.jsonl").read_text("utf-8").splitlines()
    assert "<|im_start|>assistant" in json.loads(rows[0])["text"]


@pytest.mark.parametrize("method", [Method.FULL, Method.FREEZE])
def test_other_methods_train_what_they_say(room: Path, tmp_path: Path, method: Method) -> None:
    result = tuned(room, tmp_path / "model", method=method, epochs=2, learning_rate=3e-3)
    assert result.held_dialogues is not None
    assert result.held_dialogues.better
    before, after = weights(room / "base"), weights(tmp_path / "model")
    frozen = ("model.embed_tokens.", "model.layers.0.")
    for name, tensor in before.items():
        still = method is Method.FREEZE and name.startswith(frozen)
        assert np.array_equal(tensor, after[name]) is still, name
    assert (result.parameters_trained == result.parameters) is (method is Method.FULL)


def test_bfloat16_over_a_coarse_base_is_merged_into_the_fine_one(
    room: Path, tmp_path: Path
) -> None:
    result = tuned(room, tmp_path / "model", precision="bf16")
    assert result.held_dialogues is not None
    assert result.held_dialogues.better
    before, after = weights(room / "base"), weights(tmp_path / "model")
    assert after["model.norm.weight"].dtype == np.float32
    assert np.array_equal(before["model.norm.weight"], after["model.norm.weight"])


def test_the_same_seed_gives_the_same_bytes(room: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"epochs": 1, "accumulation": 3, "averaged": True}
    first = tuned(room, tmp_path / "a", **options)
    again = tuned(room, tmp_path / "b", **options)
    other = tuned(room, tmp_path / "c", **options, seed=1)
    assert first.digest == again.digest
    assert first.weights_sha256 != other.weights_sha256


def test_what_teaches_nothing_is_said_loudly_and_the_exit_is_that_of_classifiers(
    room: Path, tmp_path: Path
) -> None:
    result = tuned(room, tmp_path / "model", epochs=1, learning_rate=1e-9)
    assert result.held_dialogues is not None
    assert not result.held_dialogues.better
    assert any("not shown to be better than its base" in one for one in result.warnings)
    assert result.exit_code == 0


class _StoppedError(BaseException):
    """As a signal would come."""


def test_a_run_that_ends_within_an_epoch_goes_on_within_it(
    room: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deployopt.modeling.training import callbacks

    options: dict[str, Any] = {"accumulation": 2, "batch": 4, "store": tmp_path / "store"}
    whole = tuned(room, tmp_path / "whole", **options)
    save, saves = StoreCheckpoints.save, 0

    def stop(self: StoreCheckpoints, folder: Path) -> None:
        nonlocal saves
        save(self, folder)
        saves += 1
        if saves == 12:
            raise _StoppedError

    with monkeypatch.context() as patch:
        patch.setattr(callbacks, "_SAVE_EVERY_S", 0.0)
        patch.setattr(StoreCheckpoints, "save", stop)
        with pytest.raises(_StoppedError):
            tuned(room, tmp_path / "model", **options)
    assert not (tmp_path / "model").exists()
    resumed = tuned(room, tmp_path / "model", **options, resume=True)
    assert resumed.resumed_from is not None
    assert resumed.resumed_from % (resumed.steps // 3) != 0
    assert resumed.resumed_from is not None
    assert resumed.resumed_from % (resumed.steps // 3) != 0
    assert resumed.evaluations == whole.evaluations
    assert resumed.digest == whole.digest


def test_documents_and_pairs_train_a_model_without_a_template(room: Path, tmp_path: Path) -> None:
    bare = write_tiny_llama(tmp_path / "bare")
    (bare / "chat_template.jinja").unlink()
    with pytest.raises(UsageError, match=r"has no chat template.*instruct or chat model"):
        tuned(room, tmp_path / "model", model=str(bare))
    pairs = write_lines(
        tmp_path / "pairs.jsonl", ({"prompt": a, "completion": b} for a, b in exchanges(60))
    )
    result = tuned(room, tmp_path / "model", model=str(bare), data=pairs)
    assert any("the answer follows the prompt as both stand" in one for one in result.warnings)
    texts = tmp_path / "texts.txt"
    texts.write_text("\n\n".join(sentences(60, words=60)), "utf-8")
    result = tuned(room, tmp_path / "more", model=str(bare), data=texts, length=64)
    assert any("cut into pieces" in one for one in result.warnings)
    assert result.held_dialogues is not None
    assert result.held_dialogues.dialogues == result.examples["held-out"]


def test_another_file_judges(room: Path, tmp_path: Path) -> None:
    judge = write_dialogues(tmp_path / "judge.jsonl", 15, seed=50)
    result = tuned(room, tmp_path / "model", evaluation_data=judge, epochs=1)
    assert result.examples["held-out"] == 15
    assert not (tmp_path / "model" / "held-out.jsonl").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"class_weights": True}, "--class-weights is of classifiers"),
        ({"augment": True}, "--augment is of classifiers"),
        ({"method": Method.FULL, "unfreeze_every": 1}, "--unfreeze-every is of classifiers"),
        ({"method": Method.PREFIX}, r"'llama'\. Use --method lora"),
        ({"columns": {"label": "x"}}, "--column label"),
        ({"length": 8}, "leaves too little for the train split within 8 tokens"),
        ({"data": "no-such.jsonl"}, "There is no file"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    room: Path, tmp_path: Path, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        tuned(room, tmp_path / "model", **options)
    assert not (tmp_path / "model").exists()


def test_four_bits_are_refused_on_a_cpu(
    room: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match="Use --method lora"):
        tuned(room, tmp_path / "model", method=Method.QLORA)


def test_what_does_not_fit_is_refused_before_it_is_started(room: Path, tmp_path: Path) -> None:
    small = write_target(tmp_path / "small.toml", memory="512 MiB", memory_usable="300 MiB")
    with pytest.raises(CannotFitError, match="nothing was started"):
        tuned(room, tmp_path / "model", target=small)


def test_a_template_that_does_not_end_is_stopped(
    room: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deployopt.confinement.reader import Bounds
    from deployopt.core.errors import RefusedInputError
    from deployopt.pipeline.language import rendering

    monkeypatch.setattr(rendering, "BOUNDS", Bounds(wall_s=2.0, memory_bytes=2**30))
    wicked = write_tiny_llama(tmp_path / "wicked")
    loops = "{% for a in range(99999) %}" * 3 + "x" + "{% endfor %}" * 3
    (wicked / "chat_template.jinja").write_text(loops, "utf-8")
    with pytest.raises(RefusedInputError, match="was not used: running it in a process of its own"):
        tuned(room, tmp_path / "model", model=str(wicked))


@pytest.mark.slow
def test_from_the_command_line_to_a_bundle(room: Path, tmp_path: Path) -> None:
    environment = child_environment() | {"OMP_NUM_THREADS": "1"}

    def said(*words: str) -> dict[str, Any]:
        done = subprocess.run(
            [*hurried.COMMAND, *words, "--json", "--quiet", "--store", str(tmp_path / "store")],
            capture_output=True, text=True, env=environment, check=False, cwd=tmp_path,
        )  # fmt: skip
        # In a hurry some figure may stay undecided.
        assert done.returncode in {0, 3}, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    here = str(room / "here.toml")
    write_dialogues(tmp_path / "d.jsonl", 160)
    result = said(
        "finetune", "--model", str(room / "base"), "--data", "d.jsonl", "--method", "lora",
        "--target", here, "--epochs", "2", "--learning-rate", "1e-2", "-o", "tuned",
    )  # fmt: skip
    assert result["held_dialogues"]["better"]
    assert result["held_dialogues"]["documents"] >= 24
    built = said(
        "build", "--model", "./tuned", "--target", here, "--data", "./tuned/held-out.jsonl", "-o",
        "bundle",
    )  # fmt: skip
    assert built["gate_scores"] is not None
