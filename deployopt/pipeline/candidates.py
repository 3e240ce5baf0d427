"""A recipe that was run, with all that was found out about it before the gate."""

from collections.abc import Sequence

import msgspec

from deployopt.core.artifact import Format, Precision
from deployopt.core.card import CardSummary
from deployopt.core.codec import decode_json
from deployopt.core.engine import LISTING_FILE, EngineListing, EngineSummary, summary_of
from deployopt.core.evidence import Estimate
from deployopt.core.experience import Foreseen
from deployopt.core.language_summaries import generation_summary, score_summary
from deployopt.core.measurement import AccuracyTrial, Trial
from deployopt.core.recipe import Recipe
from deployopt.core.result import CandidateResult, StepResult
from deployopt.core.scores import ScoreTrial
from deployopt.core.summaries import (
    accuracy_summary,
    latency_summary,
    memory_figure,
    size_figure,
)
from deployopt.pipeline.card_graphs import GRAPH_FORMS
from deployopt.pipeline.making import Made
from deployopt.pipeline.recipes import FLOAT, FLOAT16
from deployopt.pipeline.runtimes import CARD_STEPS


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """`accuracy` is on the search split; what a failure left unknown is None.

    A language model has `scores`, and accuracy where it was asked questions with choices.
    """

    recipe: Recipe
    made: Made | None = None
    accuracy: AccuracyTrial | None = None
    scores: ScoreTrial | None = None
    trial: Trial | None = None
    size_bytes: int | None = None
    predictions: dict[str, Estimate] = {}
    foreseen: Foreseen | None = None
    """The predictions before experience corrected them."""
    failure: str | None = None
    untimed: str | None = None
    """Why it was not timed beside the others: what it surely misses."""
    card: CardSummary | None = None
    """Of a graph for a card that nothing is timed on here."""

    @property
    def is_float(self) -> bool:
        """Whether it is the one that the others have to beat."""
        return self.recipe.name in {FLOAT, FLOAT16}

    @property
    def is_apart(self) -> bool:
        """Whether it is an engine or a graph for a card that nothing is timed on here."""
        form = None if self.made is None else self.made.artifact.format
        return form is Format.ENGINE or (form in GRAPH_FORMS and self.card is not None)

    @property
    def precision(self) -> Precision | None:
        """As found in the artifact."""
        return None if self.made is None else self.made.artifact.precision

    @property
    def fault(self) -> str | None:
        """Why it cannot be chosen at all: a step, or the runtime, or its outputs failed."""
        if self.failure is not None:
            return self.failure
        if self.trial is not None and self.trial.failure is not None:
            return self.trial.failure
        if self.accuracy is not None and self.accuracy.non_finite:
            return f"{self.accuracy.non_finite} outputs are not finite numbers"
        if self.scores is not None and self.scores.non_finite:
            return f"its likelihoods of {self.scores.non_finite} documents are no finite numbers"
        return None


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """Who goes to the gate, the most wanted first, none where all failed; why, by recipe."""

    finalists: tuple[Candidate, ...]
    reasons: dict[str, str]


def candidate_result(
    candidate: Candidate, candidates: Sequence[Candidate], winner: str, why: str, quantile: float
) -> CandidateResult:
    """What the report shows of it."""
    base = next((c.trial for c in candidates if c.is_float), None)
    trial, made = candidate.trial, candidate.made
    return CandidateResult(
        recipe=candidate.recipe.name,
        reason=candidate.recipe.reason,
        artifact=None if made is None else made.artifact.digest,
        precision=candidate.precision,
        steps=()
        if made is None
        else tuple(
            StepResult(name=s.lineage.step, seconds=s.seconds, reused=s.reused) for s in made.steps
        ),
        predicted=candidate.predictions,
        accuracy=None if candidate.accuracy is None else accuracy_summary(candidate.accuracy),
        latency=None
        if trial is None
        else latency_summary(
            trial,
            quantile,
            base=None if candidate.is_float else base,
            arm=list(candidates).index(candidate),
            arms=len(candidates),
        ),
        scores=None if candidate.scores is None else score_summary(candidate.scores),
        generation=None
        if trial is None
        else generation_summary(trial, base=None if candidate.is_float else base),
        memory=None if trial is None else memory_figure(trial, candidate.scores),
        size=None if candidate.size_bytes is None else size_figure(candidate.size_bytes),
        failure=candidate.fault,
        engine=_engine(candidate),
        card=candidate.card,
        chosen=candidate.recipe.name == winner,
        why=why,
    )


def _engine(candidate: Candidate) -> EngineSummary | None:
    made = candidate.made
    if made is None or made.artifact.format is not Format.ENGINE:
        return None
    path = made.artifact.folder / LISTING_FILE
    listing = decode_json(path.read_bytes(), EngineListing, where=str(path))
    # The last is the engine's own, which the listing says better.
    return summary_of(listing, notes_for_card(made)[:-1])


def notes_for_card(made: Made) -> tuple[str, ...]:
    """What the steps behind the plain float graph found worth telling."""
    pairs = zip(made.steps, made.between, strict=True)
    plain = [given for step, given in pairs if step.lineage.step not in CARD_STEPS]
    return made.artifact.notes[len(plain[-1].notes) if plain else 0 :]
