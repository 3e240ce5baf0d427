"""A decoder of the model builder says on the device what torch says of its own model."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from deployopt.core.choices import ChoiceQuestion, encode_questions
from deployopt.core.samples import encode_samples
from deployopt.device.device import ThisMachine
from deployopt.device.generating.asking import Questions, score
from deployopt.device.setup import Answering
from tests.fakes.chat import WORDS, write_tiny_llama
from tests.fakes.decoders import setup_for

pytestmark = [pytest.mark.torch, pytest.mark.slow]
END = 2


def test_scores_of_a_float_decoder_are_those_of_torch(tmp_path: Path) -> None:
    from deployopt.modeling.language.building import Wanted, build_decoder
    from deployopt.modeling.language.scoring import score as score_by_torch

    source, made = write_tiny_llama(tmp_path / "source"), tmp_path / "made"
    made.mkdir()
    build_decoder(source, made, Wanted(precision="fp32"))
    lot = np.random.default_rng(3)
    # Pieces end within and at them; the end of text, which is the padding too, is in all places.
    documents = [lot.integers(0, WORDS, size) for size in (5, 128, 129, 300)]
    documents[2][[0, 60, 127, 128]] = END
    documents[3][[100, 127, 255, 298, 299]] = END
    prompts = [lot.integers(0, WORDS, size) for size in (3, 40, 140, 9)]
    prompts[3][-2:] = END

    def stored(name: str, texts: list[np.ndarray]) -> Path:
        path = tmp_path / f"{name}.npz"
        path.write_bytes(encode_samples([{"input_ids": text[None]} for text in texts]))
        return path

    questions = [
        ChoiceQuestion(
            prompt=tuple(lot.integers(0, WORDS, size).tolist()),
            choices=tuple(tuple(lot.integers(0, WORDS, n).tolist()) for n in (3, 1, 140, 6)),
            sizes=(3, 1, 140, 6),
            answer=0,
        )
        for size in (1, 30, 200)
    ]
    (tmp_path / "q.npz").write_bytes(encode_questions(questions))
    feeds = [[{"input_ids": text[None]} for text in texts] for texts in (documents, prompts)]
    reference = score_by_torch(source, *feeds, questions=questions)
    found, _ = score(
        setup_for(made / "genai_config.json"),
        Questions(
            documents=stored("d", documents),
            asked=stored("a", prompts),
            timed=stored("t", prompts),
            choices=tmp_path / "q.npz",
        ),
        reference,
        Answering(tokens=8, context=512),
        tmp_path,
        ThisMachine(),
    )
    assert found.counts == reference.counts
    assert found.nll == pytest.approx(reference.nll, rel=1e-5)
    assert found.chosen == reference.chosen
    for one, other in zip(found.choices, reference.choices, strict=True):
        assert one == pytest.approx(other, rel=1e-5)
    for own, theirs in zip(found.answers, reference.chosen, strict=True):
        # Timed answers go on behind the end of a text.
        before = theirs[: theirs.index(END)] if END in theirs else theirs
        assert own[: len(before)] == before[:8]
    without, _ = score(
        msgspec.structs.replace(setup_for(made / "genai_config.json"), threads=2),
        Questions(documents=tmp_path / "d.npz", asked=tmp_path / "a.npz", timed=tmp_path / "t.npz"),
        reference,
        Answering(tokens=8, context=512),
        tmp_path,
        ThisMachine(),
        fill=False,
    )
    assert without.full_context_rss_bytes is None
    assert without.nll == pytest.approx(found.nll, rel=1e-6)
