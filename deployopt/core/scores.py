"""How well a language model goes on with texts, beside the reference that it was made of.

Two things are asked of both, on the same token ids. On each document: the negative log-likelihood
(NLL, nats) of every token but the first, given those before it. On the reference's own greedy
answer to a prompt: which of its tokens the candidate would choose too, given the same text before.
Where there are questions with choices, a third: how likely each choice is (core/choices.py).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from deployopt.core.choices import (
    ChoiceQuestion,
    QuestionScore,
    choice_of,
    flat_likelihoods,
    read_likelihoods,
)
from deployopt.core.errors import RefusedInputError
from deployopt.core.evidence import Evidence
from deployopt.core.measurement import Split
from deployopt.core.samples import Feed, decode_samples, encode_samples

_NLL: Final = "nll"
_TOKENS: Final = "tokens"
_COUNTS: Final = "counts"


class Scored(msgspec.Struct, frozen=True, kw_only=True):
    """What one model says of a split: the reference's or a candidate's.

    `nll` is the sum over a document's tokens, `counts` how many those are. `chosen` has, for each
    prompt, the greedy token at every position of the reference's answer; of the reference itself
    these are the answer. `answers` are the model's own greedy answers to the timed prompts, by
    which timed requests are checked; empty of the reference.
    """

    nll: tuple[float, ...]
    counts: tuple[int, ...]
    chosen: tuple[tuple[int, ...], ...]
    answers: tuple[tuple[int, ...], ...] = ()
    choices: tuple[tuple[float, ...], ...] = ()
    """Log-likelihood (nats) of every choice, question by question; empty where none was asked."""
    full_context_rss_bytes: int | None = None
    """The most memory that the process has had resident, after a context filled to its end."""


class DocumentScore(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sums over one document's tokens, nats."""

    tokens: int
    reference_nll: float
    candidate_nll: float


class AnswerScore(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One prompt: tokens of the reference's answer, and how many the candidate would choose too."""

    tokens: int
    agreed: int


class ScoreTrial(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same documents and prompts through the reference and the candidate."""

    artifact: str
    split: Split
    evidence: Evidence
    documents: tuple[DocumentScore, ...]
    answers: tuple[AnswerScore, ...]
    questions: tuple[QuestionScore, ...] = ()
    """What both choose, where there are questions with choices."""
    non_finite: int = 0
    """Documents whose NLL is not a finite number."""
    exact_arithmetic: bool = True
    """Whether this machine's integer arithmetic gives what the target's would."""
    full_context_rss_bytes: int | None = None
    stand_in: str | None = None
    """What answered in the artifact's place, which has not run itself."""
    note: str = ""


def score_trial(  # noqa: PLR0913 -- whose, where, and both sides
    artifact: str,
    split: Split,
    evidence: Evidence,
    reference: Scored,
    candidate: Scored,
    *,
    questions: Sequence[ChoiceQuestion] = (),
    exact_arithmetic: bool = True,
    stand_in: str | None = None,
    note: str = "",
) -> ScoreTrial:
    """Pair what both say; `questions` are those whose choices both have scored.

    Raises:
        RefusedInputError: they are not of the same documents, prompts and questions, or the
            reference's own likelihoods are no measure.
    """
    if reference.nll and not 0.0 < float(np.sum(reference.nll)) < np.inf:
        raise RefusedInputError(
            "The reference's likelihoods of the documents are not finite numbers above 0, so "
            "nothing can be judged beside it. Look at the model and at the text."
        )
    same = reference.counts == candidate.counts
    lengths = [len(one) for one in reference.chosen] == [len(one) for one in candidate.chosen]
    if not same or not lengths or len(reference.nll) != len(candidate.nll):
        raise RefusedInputError(
            "The reference and the candidate did not read the same documents. Build again."
        )
    finite = np.isfinite(candidate.nll)
    return ScoreTrial(
        artifact=artifact,
        split=split,
        evidence=evidence,
        documents=tuple(
            DocumentScore(tokens=count, reference_nll=one, candidate_nll=other)
            for count, one, other, good in zip(
                reference.counts, reference.nll, candidate.nll, finite, strict=True
            )
            if good
        ),
        answers=tuple(
            AnswerScore(
                tokens=len(one), agreed=sum(a == b for a, b in zip(one, other, strict=True))
            )
            for one, other in zip(reference.chosen, candidate.chosen, strict=True)
        ),
        questions=tuple(_paired(questions, reference, candidate)),
        non_finite=int((~finite).sum()),
        exact_arithmetic=exact_arithmetic,
        full_context_rss_bytes=candidate.full_context_rss_bytes,
        stand_in=stand_in,
        note=note,
    )


def _paired(
    questions: Sequence[ChoiceQuestion], reference: Scored, candidate: Scored
) -> Iterator[QuestionScore]:
    """What both choose."""
    counts = [len(one.choices) for one in questions]
    if any([len(one) for one in side.choices] != counts for side in (reference, candidate)):
        raise RefusedInputError(
            "The reference and the candidate did not answer the same questions. Build again."
        )
    for question, one, other in zip(questions, reference.choices, candidate.choices, strict=True):
        chosen = choice_of(one, question)
        if chosen is None:
            raise RefusedInputError(
                "The reference's likelihoods of the choices are not finite numbers, so nothing can "
                "be judged beside it. Look at the model and at the questions."
            )
        yield QuestionScore(
            choices=len(question.choices),
            answer=question.answer,
            reference=chosen,
            candidate=choice_of(other, question),
        )


def encode_scored(scored: Scored) -> bytes:
    """As an npz of feeds: `nll`, `counts` and choices, then prompts' tokens, then answers'."""
    rss = -1 if scored.full_context_rss_bytes is None else scored.full_context_rss_bytes
    head: Feed = {
        _NLL: np.asarray(scored.nll, dtype=np.float64),
        _COUNTS: np.asarray(scored.counts, dtype=np.int64),
        "sizes": np.asarray([len(scored.chosen), len(scored.answers), rss], dtype=np.int64),
    }
    if scored.choices:
        head = {**head, **flat_likelihoods(scored.choices)}
    return encode_samples([head, *_tokens(scored.chosen), *_tokens(scored.answers)])


def decode_scored(path: Path) -> Scored:
    """Read what `encode_scored` wrote.

    Raises:
        RefusedInputError: not such a file.
    """
    found = decode_samples(path)
    try:
        head, rest = found[0], [tuple(int(x) for x in one[_TOKENS]) for one in found[1:]]
        chosen, answers, rss = (int(x) for x in head["sizes"])
        nll = tuple(float(x) for x in head[_NLL])
        counts = tuple(int(x) for x in head[_COUNTS])
        likelihoods = read_likelihoods(head)
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise RefusedInputError(f"{path} is not a file of scores.") from error
    if len(rest) != chosen + answers or len(nll) != len(counts):
        raise RefusedInputError(f"{path} is not a file of scores: its parts do not fit together.")
    return Scored(
        nll=nll,
        counts=counts,
        chosen=tuple(rest[:chosen]),
        answers=tuple(rest[chosen:]),
        choices=likelihoods,
        full_context_rss_bytes=None if rss < 0 else rss,
    )


def _tokens(lists: Sequence[Sequence[int]]) -> list[Feed]:
    return [{_TOKENS: np.asarray(one, dtype=np.int64)} for one in lists]
