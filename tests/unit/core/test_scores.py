"""Two models on the same documents and prompts become one paired trial, or none."""

import math
from pathlib import Path
from typing import Any

import msgspec
import pytest

from deployopt.core.choices import ChoiceQuestion, QuestionScore
from deployopt.core.errors import RefusedInputError
from deployopt.core.evidence import Evidence
from deployopt.core.measurement import Split
from deployopt.core.scores import (
    Scored,
    ScoreTrial,
    decode_scored,
    encode_scored,
    score_trial,
)

REFERENCE = Scored(nll=(30.0, 60.0, 9.0), counts=(10, 20, 3), chosen=((5, 6, 7), (8,)))


def paired(candidate: Scored, reference: Scored = REFERENCE, **more: Any) -> ScoreTrial:
    return score_trial("a" * 64, Split.GATE, Evidence.PROXY, reference, candidate, **more)


def changed(**fields: Any) -> Scored:
    return msgspec.structs.replace(REFERENCE, **fields)


def test_documents_and_answers_are_paired_in_order() -> None:
    found = paired(changed(nll=(31.0, 60.0, 10.0), chosen=((5, 9, 7), (8,))), note="a note")
    assert [(d.tokens, d.reference_nll, d.candidate_nll) for d in found.documents] == [
        (10, 30.0, 31.0),
        (20, 60.0, 60.0),
        (3, 9.0, 10.0),
    ]
    assert [(one.tokens, one.agreed) for one in found.answers] == [(3, 2), (1, 1)]
    assert (found.non_finite, found.note) == (0, "a note")


def test_a_document_without_a_number_is_counted_and_not_paired() -> None:
    found = paired(changed(nll=(31.0, math.nan, math.inf)))
    assert found.non_finite == 2
    assert [d.tokens for d in found.documents] == [10]


@pytest.mark.parametrize(
    "other",
    [
        {"counts": (10, 20, 4)},
        {"counts": (10, 20), "nll": (1.0, 2.0)},
        {"chosen": ((5, 6), (8,))},
        {"chosen": ((5, 6, 7),)},
    ],
)
def test_other_documents_or_prompts_are_refused(other: dict[str, Any]) -> None:
    with pytest.raises(RefusedInputError, match="did not read the same"):
        paired(changed(**other))


@pytest.mark.parametrize("nll", [(math.nan, 1.0, 2.0), (math.inf, 1.0, 2.0), (0.0, 0.0, 0.0)])
def test_a_reference_that_is_no_measure_is_refused(nll: tuple[float, ...]) -> None:
    with pytest.raises(RefusedInputError, match="reference's likelihoods"):
        paired(REFERENCE, changed(nll=nll))


@pytest.mark.parametrize("rss", [None, 420 << 20])
def test_a_file_gives_back_what_was_written(tmp_path: Path, rss: int | None) -> None:
    whole = changed(answers=((1, 2), ()), full_context_rss_bytes=rss)
    path = tmp_path / "scored.npz"
    path.write_bytes(encode_scored(whole))
    assert decode_scored(path) == whole
    assert encode_scored(whole) == encode_scored(decode_scored(path))


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "scored.npz"
    path.write_bytes(encode_scored(REFERENCE)[:-30])
    with pytest.raises(RefusedInputError):
        decode_scored(path)


QUESTIONS = (
    ChoiceQuestion(prompt=(1,), choices=((2,), (3, 4)), sizes=(2, 4), answer=1),
    ChoiceQuestion(prompt=(1,), choices=((2,), (3,), (4,)), sizes=(2, 2, 2), answer=0),
)


def test_choices_are_paired_with_the_answers() -> None:
    reference = changed(choices=((-2.0, -3.0), (-1.0, -2.0, -3.0)))
    candidate = changed(choices=((-1.0, -3.0), (-1.0, math.nan, -3.0)))
    found = paired(candidate, reference, questions=QUESTIONS)
    assert found.questions == (
        QuestionScore(choices=2, answer=1, reference=1, candidate=0),
        QuestionScore(choices=3, answer=0, reference=0, candidate=None),
    )


@pytest.mark.parametrize(
    "choices", [(), ((-1.0, -1.0),), ((-1.0, -1.0), (-1.0, -1.0)), ((-1.0,), (-1.0, -1.0, -1.0))]
)
def test_answers_to_other_questions_are_refused(choices: tuple[tuple[float, ...], ...]) -> None:
    whole = changed(choices=((-2.0, -3.0), (-1.0, -2.0, -3.0)))
    for candidate, reference in (
        (changed(choices=choices), whole),
        (whole, changed(choices=choices)),
    ):
        with pytest.raises(RefusedInputError, match="did not answer the same questions"):
            paired(candidate, reference, questions=QUESTIONS)
    with pytest.raises(RefusedInputError, match="did not answer the same questions"):
        paired(whole, whole)


def test_a_reference_that_is_not_finite_cannot_be_judged_beside() -> None:
    whole = changed(choices=((-2.0, -3.0), (-1.0, -2.0, -3.0)))
    broken = changed(choices=((-2.0, -math.inf), (-1.0, -2.0, -3.0)))
    with pytest.raises(RefusedInputError, match="likelihoods of the choices"):
        paired(whole, broken, questions=QUESTIONS)


def test_choices_are_kept_in_the_file_and_change_nothing_where_there_are_none(
    tmp_path: Path,
) -> None:
    path = tmp_path / "s.npz"
    for found in (changed(choices=((-2.0, -3.0), (-1.0, -2.0, -3.0))), REFERENCE):
        path.write_bytes(encode_scored(found))
        assert decode_scored(path) == found
