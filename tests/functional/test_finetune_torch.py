"""Fine-tuning, whole: real trainers over tiny random models, in seconds."""

import hashlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from deployopt import api
from deployopt.core.errors import StepError, UsageError
from deployopt.core.interface import Interface, Task, TextInputs
from deployopt.core.memory import Method, Optimizer
from deployopt.core.training import TrainingOptions
from deployopt.core.training_result import FinetuneResult
from deployopt.core.workload import Workload
from deployopt.device.inputs import feeds
from deployopt.pipeline.training_checkpoints import StoreCheckpoints
from deployopt.sources.folder import read_folder
from deployopt.sources.models import resolve_model
from deployopt.sources.training_base import resolve_base
from deployopt.sources.training_data import read_training_data
from deployopt.sources.training_lots import VALIDATION
from deployopt.store.store import Store
from tests.fakes import bases
from tests.fakes.models import write_images, write_target
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
    root = tmp_path_factory.mktemp("finetune")
    bases.write_encoder(root / "base")
    bases.write_encoder(root / "shaky", dropout=0.1)
    bases.write_reviews(root / "reviews.csv")
    write_target(root / "here.toml")
    return root


def tuned(room: Path, output: Path, **options: Any) -> FinetuneResult:
    chosen: dict[str, Any] = {
        "model": str(room / "base"),
        "data": room / "reviews.csv",
        "target": room / "here.toml",
        "method": Method.FULL,
        "epochs": 3,
        "batch": 16,
        "accumulation": 1,
        "learning_rate": 3e-3,
        "store": room / "store",
    }
    return api.finetune(output=output, **(chosen | options))


def weights(folder: Path) -> dict[str, Any]:
    from safetensors.numpy import load_file

    found: dict[str, Any] = load_file(folder / "model.safetensors")
    return found


def test_full_training_learns_and_the_folder_is_one_that_build_takes(
    room: Path, tmp_path: Path
) -> None:
    result = tuned(room, tmp_path / "model")
    assert result.held_out is not None
    assert result.held_out.accuracy > 0.8
    assert result.held_out.lower < result.held_out.accuracy < result.held_out.upper
    assert result.parameters_trained == result.parameters
    assert sum(result.examples.values()) == 400
    assert result.curve[-1].loss < result.curve[0].loss
    assert result.memory.measured_bytes > 50e6
    with Store(tmp_path / "other") as store:
        source = resolve_model(str(tmp_path / "model"), store=store)
    assert source.interface.labels == ("bad", "good")
    check_schema("finetune-result", json.loads(msgspec.json.encode(result)))
    held_out = (tmp_path / "model" / "held-out.jsonl").read_text("utf-8").splitlines()
    assert len(held_out) == result.examples["held-out"]
    assert json.loads(held_out[0])["label"] in {"bad", "good"}


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(
    room: Path, tmp_path: Path
) -> None:
    options = {"model": str(room / "shaky"), "epochs": 1, "augment": True}
    first = tuned(room, tmp_path / "a", **options)
    again = tuned(room, tmp_path / "b", **options)
    other = tuned(room, tmp_path / "c", **options, seed=1)
    assert first.digest == again.digest
    assert first.weights_sha256 == again.weights_sha256 != other.weights_sha256


def test_frozen_layers_stay_and_the_upper_ones_move(room: Path, tmp_path: Path) -> None:
    result = tuned(room, tmp_path / "model", method=Method.FREEZE, epochs=1)
    before, after = weights(room / "base"), weights(tmp_path / "model")
    assert 0 < result.parameters_trained < result.parameters
    for name, tensor in before.items():
        same = np.array_equal(tensor, after[f"distilbert.{name}"])
        frozen = name.startswith(("embeddings.", "transformer.layer.0."))
        assert same is frozen, name


def test_merged_adapters_answer_as_unmerged_ones(room: Path) -> None:
    import torch

    from deployopt.modeling.training.methods import merged, prepare
    from deployopt.modeling.training.quieting import quiet_training
    from deployopt.modeling.training.starting import start_model

    interface = Interface(
        task=Task.TEXT_CLASSIFICATION,
        inputs=TextInputs(max_length=48),
        outputs=("logits",),
        labels=("a", "b", "c"),
    )
    options = TrainingOptions(method=Method.LORA, rank=4)
    torch.manual_seed(0)
    with quiet_training():
        start = start_model(room / "base", interface, new_head=True)
        module: Any = prepare(start, options).eval()
    with torch.no_grad():
        for name, weight in module.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.3)
    trained = {name for name, weight in module.named_parameters() if weight.requires_grad}
    assert sum("lora_A" in name for name in trained) == 12
    assert any("classifier" in name for name in trained)
    assert not any("embeddings" in name for name in trained)
    ids = torch.randint(4, 100, (3, 11))
    with torch.inference_mode():
        expected = module(input_ids=ids).logits.clone()
        plain = merged(module, options, None)
        found = plain(input_ids=ids).logits
    assert torch.allclose(expected, found, atol=1e-5)
    assert not any("lora" in name for name in plain.state_dict())


def test_adapters_train_and_nothing_of_them_is_left(room: Path, tmp_path: Path) -> None:
    result = tuned(
        room, tmp_path / "model", method=Method.LORA, learning_rate=1e-2, rank=4, averaged=True,
        class_weights=True, epochs=2,
    )  # fmt: skip
    before, after = weights(room / "base"), weights(tmp_path / "model")
    assert not any("lora" in name for name in after)
    assert result.parameters_trained < result.parameters
    moved = "transformer.layer.0.attention.q_lin.weight"
    assert not np.array_equal(before[moved], after[f"distilbert.{moved}"])
    kept = "embeddings.word_embeddings.weight"
    assert np.array_equal(before[kept], after[f"distilbert.{kept}"])


def test_a_prefix_is_an_adapter_beside_its_base(room: Path, tmp_path: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification

    from deployopt.modeling.training.prefixes import open_prefix
    from deployopt.modeling.training.quieting import quiet_training

    class Told:
        notes: list[str] = []  # noqa: RUF012 -- of one test

        def stage(self, name: str, total: int | None = None, *, quiet: bool = False) -> None:
            """Not looked at."""

        def advance(self, share: float, words: str = "") -> None:
            """Not looked at."""

        def note(self, text: str) -> None:
            self.notes.append(text)

    base = bases.write_bert(tmp_path / "bert")
    result = tuned(
        room, tmp_path / "made", model=str(base), method=Method.PREFIX, rank=4, epochs=3,
        learning_rate=1e-2, watcher=Told(),
    )  # fmt: skip
    assert "cannot be merged" in Told.notes[0]
    assert Told.notes[0] in result.warnings
    assert result.parameters_trained < result.parameters / 2
    assert result.curve[-1].loss < result.curve[0].loss
    names = {path.name for path in (tmp_path / "made").iterdir()}
    assert {"adapter_config.json", "adapter_model.safetensors", "tokenizer.json"} <= names
    assert not names & {"model.safetensors", "config.json", "README.md"}
    assert str(tmp_path) not in (tmp_path / "made" / "adapter_config.json").read_text("utf-8")
    # As a person would open it.
    torch.manual_seed(7)
    plain = AutoModelForSequenceClassification.from_pretrained(base, num_labels=2)
    with quiet_training():
        opened: Any = PeftModel.from_pretrained(plain, tmp_path / "made").eval()
    inputs = TextInputs(max_length=48, input_names=("input_ids", "attention_mask"))
    interface = Interface(
        task=Task.TEXT_CLASSIFICATION, inputs=inputs, outputs=("logits",), labels=("bad", "good")
    )
    ours = open_prefix(base, tmp_path / "made", interface, result.options, new_head=True)
    ids = torch.randint(4, 50, (3, 11))
    mask = torch.ones_like(ids)
    mask[1, 6:] = 0
    with torch.inference_mode():
        known, found, bare = (
            model(input_ids=ids, attention_mask=mask)[0]
            for model in (ours, opened, opened.get_base_model())
        )
    assert torch.allclose(known, found, atol=1e-5)
    assert not torch.allclose(bare, found, atol=1e-4)
    with Store(tmp_path / "other") as store, pytest.raises(UsageError, match="an adapter without"):
        resolve_model(str(tmp_path / "made"), store=store)


def test_a_prefix_needs_attention_that_takes_one(room: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'distilbert'\. Use --method lora"):
        tuned(room, tmp_path / "model", method=Method.PREFIX)


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": Optimizer.SGD, "accumulation": 3, "learning_rate": 0.05},
        {"checkpointing": True, "averaged": True},
    ],
)
def test_other_ways_of_training(room: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    result = tuned(room, tmp_path / "model", epochs=1, **options)
    assert result.steps > 0
    assert np.isfinite([point.loss for point in result.curve]).all()


def test_the_best_weights_are_kept_and_it_stops_for_want_of_better(
    room: Path, tmp_path: Path
) -> None:
    result = tuned(room, tmp_path / "model", epochs=30, learning_rate=2e-2, patience=2)
    best = max(result.evaluations, key=lambda one: (one.accuracy or 0.0, -one.loss))
    assert result.best_epoch == best.epoch
    assert result.stopped == "no gain on the validation split"
    assert result.epochs < 30
    assert [one.best for one in result.evaluations[-2:]] == [False, False]
    assert validation_accuracy(room, tmp_path / "model") == pytest.approx(best.accuracy)


def validation_accuracy(room: Path, folder: Path) -> float:
    """Of the published weights, worked out apart from the trainer."""
    with Store(room / "store") as store:
        base = resolve_base(str(room / "base"), store)
        data = read_training_data(str(room / "reviews.csv"), None, base=base, store=store)
    part = data.parts[VALIDATION]
    interface = read_folder(folder).interface
    asked = list(feeds(interface, folder, list(part.inputs), Workload(batch=1, length="real")))
    from deployopt.modeling.reference import predict

    logits = predict(folder, interface, asked)
    return float((logits.argmax(axis=1) == np.asarray(part.classes)).mean())


def test_a_loss_that_is_no_number_ends_the_run_and_leaves_nothing(
    room: Path, tmp_path: Path
) -> None:
    with pytest.raises(StepError, match=r"not a number at step \d+.*--learning-rate 0\.09"):
        tuned(
            room, tmp_path / "model", optimizer=Optimizer.SGD, learning_rate=0.9, warmup_share=0.0,
            model=str(_overflowing(room)),
        )  # fmt: skip
    assert not (tmp_path / "model").exists()
    assert not list((room / "store" / "staging").iterdir())


def _overflowing(room: Path) -> Path:
    """A base whose last weights are so large that the first loss is infinite."""
    from safetensors.numpy import load_file, save_file

    folder = room / "overflowing"
    if not folder.exists():
        bases.write_encoder(folder)
        tensors = load_file(folder / "model.safetensors")
        tensors["transformer.layer.1.output_layer_norm.weight"] *= np.float32(3e38)
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_time_is_kept_and_the_best_so_far_written(room: Path, tmp_path: Path) -> None:
    began = time.perf_counter()
    result = tuned(room, tmp_path / "model", epochs=5_000, patience=0, time_limit_s=6.0)
    assert time.perf_counter() - began < 12
    assert result.stopped == "the time limit"
    assert result.epochs < 5_000
    assert (tmp_path / "model" / "model.safetensors").is_file()


class _StoppedError(BaseException):
    """As a signal would come."""


@pytest.mark.parametrize("after", [4, 25])
def test_a_run_that_ends_within_an_epoch_goes_on_within_it(
    room: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """Here a checkpoint is due after every step, and the process ends after one of them."""
    from deployopt.modeling.training import callbacks

    options: dict[str, Any] = {
        "model": str(room / "shaky"), "epochs": 3, "augment": True, "averaged": True,
        "accumulation": 2, "batch": 8, "store": tmp_path / "store", "unfreeze_every": 1,
    }  # fmt: skip
    whole = tuned(room, tmp_path / "whole", **options)
    save, saves = StoreCheckpoints.save, 0

    def stop(self: StoreCheckpoints, folder: Path) -> None:
        nonlocal saves
        save(self, folder)
        saves += 1
        if saves == after:
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
    assert resumed.evaluations == whole.evaluations
    assert resumed.digest == whole.digest


def test_four_bit_training_says_what_to_use_instead(
    room: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match="Use --method lora"):
        tuned(room, tmp_path / "model", method=Method.QLORA)
    with pytest.raises(UsageError, match="Use --optimizer adamw"):
        tuned(room, tmp_path / "model", optimizer=Optimizer.ADAMW_8BIT)


def test_images_train_with_another_head_and_frozen_statistics(tmp_path: Path) -> None:
    base = bases.write_resnet(tmp_path / "base")
    images = write_images(tmp_path / "images", 120)
    write_target(tmp_path / "here.toml")
    common: dict[str, Any] = {
        "model": str(base), "data": images, "target": tmp_path / "here.toml",
        "store": tmp_path / "store", "batch": 16, "accumulation": 1, "learning_rate": 5e-3,
    }  # fmt: skip
    result = api.finetune(output=tmp_path / "full", **common, method=Method.FULL, epochs=4,
                          augment=True)  # fmt: skip
    assert result.labels == ("blue", "red")
    assert result.new_head
    assert any("new head" in warning for warning in result.warnings)
    assert result.held_out is not None
    assert result.held_out.accuracy > 0.8
    frozen = api.finetune(output=tmp_path / "freeze", **common, method=Method.FREEZE, epochs=1)
    before, after = weights(base), weights(tmp_path / "freeze")
    still = [name for name in before if "embedder" in name or "stages.0" in name]
    assert any("running_mean" in name for name in still)
    assert all(np.array_equal(before[name], after[name]) for name in still)
    assert frozen.parameters_trained < frozen.parameters
    with pytest.raises(UsageError, match="no linear layers"):
        api.finetune(output=tmp_path / "lora", **common, method=Method.LORA, epochs=1)


COMMAND = (
    "finetune", "--model", "shaky", "--data", "reviews.csv", "--target", "here.toml", "--method",
    "full", "--epochs", "6", "--batch", "8", "--accumulation", "1", "--learning-rate", "2e-3",
    "--patience", "0", "--quiet", "--augment", "--ema", "--json",
)  # fmt: skip


def command(room: Path, output: Path, store: Path, *more: str) -> list[str]:
    words = [str(room / w) if w in {"shaky", "reviews.csv", "here.toml"} else w for w in COMMAND]
    return [*words, "-o", str(output), "--store", str(store), *more]


def checkpointed(store: Path) -> bool:
    """Whether a checkpoint counts: its object is there, and so is a key that leads to it."""
    there = {path.parents[1].name for path in store.glob("objects/*/content/kept.json")}
    keys = [path.read_text("utf-8") for path in store.glob("keys/*")]
    return any(digest in key for digest in there for key in keys)


def environment() -> dict[str, str]:
    return child_environment() | {"OMP_NUM_THREADS": "1"}


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_in_the_same_bytes(room: Path, tmp_path: Path) -> None:
    whole = subprocess.run(
        [sys.executable, "-m", "deployopt", *command(room, tmp_path / "whole", tmp_path / "s1")],
        capture_output=True, text=True, env=environment(), check=True,
    )  # fmt: skip
    store = tmp_path / "s2"
    words = command(room, tmp_path / "killed", store, "--resume")
    with subprocess.Popen(
        [sys.executable, "-m", "deployopt", *words],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(),
    ) as child:  # fmt: skip
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and not checkpointed(store):
            time.sleep(0.02)
        child.send_signal(signal.SIGKILL)
    assert not (tmp_path / "killed").exists()
    resumed = subprocess.run(
        [sys.executable, "-m", "deployopt", *words],
        capture_output=True, text=True, env=environment(), check=True,
    )  # fmt: skip
    first, second = json.loads(whole.stdout), json.loads(resumed.stdout)
    assert second["resumed_from"] > 0
    assert first["resumed_from"] is None
    assert first["evaluations"] == second["evaluations"]
    assert first["weights_sha256"] == second["weights_sha256"]
    assert first["digest"] == second["digest"]


@pytest.mark.slow
def test_two_processes_train_together_and_one_of_them_speaks(room: Path, tmp_path: Path) -> None:
    words = command(room, tmp_path / "model", tmp_path / "store")
    launch = (
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2",
        "-m", "deployopt",
    )  # fmt: skip
    done = subprocess.run(
        [*launch, *words], capture_output=True, text=True, env=environment(), check=True
    )
    result = json.loads(done.stdout)
    assert result["processes"] == 2
    assert result["held_out"]["accuracy"] > 0.8
    assert done.stderr.count("exit 0") == 1
    digest = hashlib.sha256((tmp_path / "model" / "model.safetensors").read_bytes()).hexdigest()
    assert digest == result["weights_sha256"]
