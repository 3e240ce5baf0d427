"""The loss of a language model: marked tokens alone, each the same, whatever batch they are in."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployopt.core.dialogues import Sample
from deployopt.core.interface import Interface, PromptInputs, Task
from tests.fakes.chat import CONTEXT, WORDS, write_tiny_llama

pytestmark = pytest.mark.torch
INTERFACE = Interface(
    task=Task.TEXT_GENERATION, inputs=PromptInputs(context=CONTEXT, chat=True), outputs=("logits",)
)


def sample(length: int, seed: int, share: float = 0.4) -> Sample:
    lot = np.random.default_rng(seed)
    learnt = lot.random(length) < share
    learnt[0], learnt[-1] = False, True
    return Sample(ids=lot.integers(3, WORDS, length).astype(np.int32), learnt=learnt, of=seed)


SAMPLES = [sample(length, at) for at, length in enumerate((30, 9, 52, 2))]


def by_hand(model: Any, one: Sample) -> float:
    import torch

    with torch.inference_mode():
        logits = model(torch.tensor(one.ids[None].astype(np.int64))).logits[0].double()
    logs = torch.log_softmax(logits[:-1], -1).numpy()
    each = -logs[np.arange(len(one.ids) - 1), one.ids[1:]]
    return float(each[one.learnt[1:]].sum())


def test_sums_are_those_of_a_plain_pass_in_any_batch(tmp_path: Path) -> None:
    import torch

    from deployopt.modeling.training.continuing import Continuing
    from deployopt.modeling.training.decoders import start_decoder
    from deployopt.modeling.training.job import Words

    model = start_decoder(write_tiny_llama(tmp_path / "m")).model.eval()
    lesson = Continuing(Words(interface=INTERFACE, train=(), validation=()), model)
    with torch.inference_mode():
        batch = lesson.together(SAMPLES)
        sums, counts = lesson.sums(model, batch)
        mean, _ = lesson.loss(model, batch, None)
    expected = [by_hand(model, one) for one in SAMPLES]
    assert sums.tolist() == pytest.approx(expected, rel=1e-5)
    assert counts.tolist() == [one.judged for one in SAMPLES]
    assert float(mean) == pytest.approx(sum(expected) / sum(counts.tolist()), rel=1e-5)


def test_the_loss_of_parts_adds_up_to_that_of_the_whole(tmp_path: Path) -> None:
    import torch

    from deployopt.modeling.training.continuing import Continuing
    from deployopt.modeling.training.decoders import start_decoder
    from deployopt.modeling.training.job import Words

    model = start_decoder(write_tiny_llama(tmp_path / "m")).model.eval()
    lesson = Continuing(Words(interface=INTERFACE, train=(), validation=()), model)
    tokens = sum(one.judged for one in SAMPLES)
    with torch.inference_mode():
        whole = float(lesson.loss(model, lesson.together(SAMPLES), tokens)[0])
        parts = [float(lesson.loss(model, lesson.together([one]), tokens)[0]) for one in SAMPLES]
    assert sum(parts) == pytest.approx(whole, rel=1e-5)


def test_a_folder_with_weights_missing_is_refused(tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    from deployopt.core.errors import StepError
    from deployopt.modeling.training.decoders import start_decoder

    folder = write_tiny_llama(tmp_path / "m")
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(StepError, match="lacks 1 of the weights"):
        start_decoder(folder)
