"""Simulated language models: NLL and agreement drawn at a known loss, judged by the gate itself.

In: a true loss, documents or prompts, runs. Out: how many runs were accepted. Every seed is fixed.

A document has 24 to 256 tokens and an NLL of its own; what a candidate loses on it is skewed, and
more where the reference does badly already, under noise from token to token. `USUAL` has the
document's loss vary by half of its mean (the differences' skewness is 2), `HEAVY` by all of it with
little noise (8, a few documents lose most). Of prompts some go otherwise often, most hardly ever.
"""

import math
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from deployopt.core.budget import Budget
from deployopt.core.distributions import student_t_quantile
from deployopt.core.evidence import Evidence
from deployopt.core.gate import Findings, judge
from deployopt.core.measurement import Split
from deployopt.core.scores import AnswerScore, DocumentScore, ScoreTrial
from deployopt.core.verdict import Outcome

MARGIN: Final = 0.02
AGREEMENT: Final = 0.95
TOKENS: Final = 64
_LARGE: Final = 400_000
_AT_ONCE: Final = 500

Floats = npt.NDArray[np.float64]
Random = np.random.Generator


class Texts(NamedTuple):
    """How documents differ: spread of a document's loss, and of a token's, over their means."""

    spread: float
    noise: float


USUAL_TEXTS: Final = Texts(0.5, 0.13)
HEAVY_TEXTS: Final = Texts(1.0, 0.02)


def score_accepts(texts: Texts, documents: int, runs: int, *, increase: float = MARGIN) -> int:
    """Count runs in which a candidate of this true increase is accepted within the margin."""
    budget = Budget(metric="nll_increase", limit=MARGIN)

    def accepted(tokens: Floats, reference: Floats, candidate: Floats) -> bool:
        rows = zip(tokens.tolist(), reference.tolist(), candidate.tolist(), strict=True)
        scores = tuple(
            DocumentScore(tokens=int(n), reference_nll=one, candidate_nll=other)
            for n, one, other in rows
        )
        return _accepted(budget, _trial(documents=scores))

    return _count(texts, documents, runs, increase, accepted)


def plain_t_accepts(texts: Texts, documents: int, runs: int) -> int:
    """Count runs in which Fieller's bound without widening would have accepted at the margin."""
    quantile = student_t_quantile(0.95, documents - 1)

    def accepted(_: Floats, reference: Floats, candidate: Floats) -> bool:
        apart = candidate - (1.0 + MARGIN) * reference
        t = math.sqrt(documents) * float(apart.mean()) / float(apart.std(ddof=1))
        return t <= -quantile

    return _count(texts, documents, runs, MARGIN, accepted)


def agreement_accepts(
    shape: float, prompts: int, runs: int, *, agreement: float = AGREEMENT
) -> int:
    """Count runs in which a candidate of this true agreement is accepted as of `AGREEMENT`.

    A prompt's own share of other tokens is Beta(shape * (1 - agreement), shape * agreement).
    """
    budget = Budget(metric="agreement", limit=AGREEMENT)
    random = np.random.default_rng([29, prompts, runs])
    apart = 1.0 - agreement
    shares = random.beta(shape * apart, shape * agreement, (runs, prompts))
    agreed = TOKENS - random.binomial(TOKENS, shares)
    return sum(
        _accepted(
            budget,
            _trial(answers=tuple(AnswerScore(tokens=TOKENS, agreed=n) for n in row)),
        )
        for row in agreed.tolist()
    )


def _count(
    texts: Texts,
    documents: int,
    runs: int,
    increase: float,
    accepted: Callable[[Floats, Floats, Floats], bool],
) -> int:
    random = np.random.default_rng([23, documents, runs])
    _, reference, loss, _ = _drawn(np.random.default_rng(23), texts, _LARGE)
    mean = float((reference * loss).sum() / reference.sum())
    hits = 0
    for start in range(0, runs, _AT_ONCE):
        size = (min(_AT_ONCE, runs - start), documents)
        tokens, reference, loss, noise = _drawn(random, texts, size)
        candidate = reference * (1.0 + increase * loss / mean + noise)
        hits += sum(map(accepted, tokens, reference, candidate))
    return hits


def _drawn(
    random: Random, texts: Texts, size: int | tuple[int, int]
) -> tuple[Floats, Floats, Floats, Floats]:
    """Tokens, the reference's NLL, the loss and its noise over the NLL, of each document."""
    tokens = np.clip(np.round(130.0 * random.lognormal(0.0, 0.55, size)), 24.0, 256.0)
    badly = random.standard_normal(size)
    reference = tokens * 3.0 * np.exp(0.3 * badly)
    width = math.sqrt(math.log1p(texts.spread**2))
    loss = np.exp(width * (0.5 * badly + math.sqrt(0.75) * random.standard_normal(size)))
    noise = random.standard_normal(size) * texts.noise / np.sqrt(tokens)
    return tokens, reference, loss, noise


def _accepted(budget: Budget, trial: ScoreTrial) -> bool:
    verdict = judge("simulated", [budget], Findings(artifact=trial.artifact, scores=trial))
    return verdict.outcome is Outcome.ACCEPTED


def _trial(
    *, documents: tuple[DocumentScore, ...] = (), answers: tuple[AnswerScore, ...] = ()
) -> ScoreTrial:
    return ScoreTrial(
        artifact="simulated",
        split=Split.GATE,
        evidence=Evidence.TARGET,
        documents=documents,
        answers=answers,
    )
