"""The reference's choices are scored as a plain pass over question and choice scores them."""

from pathlib import Path

import numpy as np
import pytest

from deployopt.core.choices import ChoiceQuestion
from deployopt.core.interface import Task
from tests.fakes.chat import WORDS, write_tiny_llama

pytestmark = pytest.mark.torch


def question(prompt: int, *lengths: int) -> ChoiceQuestion:
    lot = np.random.default_rng([prompt, *lengths])

    def draw(length: int) -> tuple[int, ...]:
        return tuple(lot.integers(3, WORDS, length).tolist())

    choices = tuple(draw(length) for length in lengths)
    return ChoiceQuestion(prompt=draw(prompt), choices=choices, sizes=lengths, answer=0)


def test_choices_side_by_side_are_scored_as_each_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from deployopt.modeling.language import choosing, scoring
    from deployopt.modeling.loading import load_model

    monkeypatch.setattr(choosing, "_POSITIONS", 8)
    monkeypatch.setattr(choosing, "_PIECE", 7)
    folder = write_tiny_llama(tmp_path / "m")
    asked = [question(5, 1, 1), question(9, 4, 1, 6), question(30, 2, 2, 2, 2), question(1, 12, 3)]
    found = scoring.score(folder, [], [], questions=asked).choices
    model = load_model(folder, Task.TEXT_GENERATION)
    with torch.inference_mode():
        for one, likelihoods in zip(asked, found, strict=True):
            for choice, likelihood in zip(one.choices, likelihoods, strict=True):
                ids = torch.tensor([[*one.prompt, *choice]])
                logits = model(ids).logits[0, len(one.prompt) - 1 : -1].log_softmax(-1)
                plain = logits.gather(1, torch.tensor(choice)[:, None]).sum()
                assert likelihood == pytest.approx(float(plain), rel=1e-5)
