"""The likelihood of marked tokens is that of the reference's scorer, where all are marked."""

from pathlib import Path

import numpy as np
import pytest

from deployopt.core.dialogues import Sample
from deployopt.core.interface import Interface, PromptInputs, Task
from tests.fakes.chat import CONTEXT, WORDS, write_tiny_llama

pytestmark = pytest.mark.torch


def test_it_agrees_with_the_scorer(tmp_path: Path) -> None:
    from deployopt.modeling.language.likelihood import marked_nll
    from deployopt.modeling.language.scoring import score

    folder = write_tiny_llama(tmp_path / "m")
    lot = np.random.default_rng(0)
    samples: list[Sample] = []
    for length in (12, 140):
        learnt = np.ones(length, dtype=np.bool_)
        learnt[0] = False
        ids = lot.integers(3, WORDS, length).astype(np.int32)
        samples.append(Sample(ids=ids, learnt=learnt, of=len(samples)))
    interface = Interface(
        task=Task.TEXT_GENERATION,
        inputs=PromptInputs(context=CONTEXT, chat=False),
        outputs=("logits",),
    )
    shown: list[float] = []
    found = marked_nll(folder, interface, samples, progress=lambda share, _: shown.append(share))
    documents = [{"input_ids": one.ids[None].astype(np.int64)} for one in samples]
    assert found == pytest.approx(score(folder, documents, []).nll, rel=1e-4)
    assert shown == [0.5, 1.0]
