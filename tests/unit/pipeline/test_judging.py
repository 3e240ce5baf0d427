"""Several finalists at the gate: Holm decides who may pass, the order who is wanted."""

import msgspec
import pytest

from deployopt.core.budget import Budget
from deployopt.core.gate import Findings, judge
from deployopt.core.measurement import AccuracyTrial
from deployopt.core.paired import loss_p_value
from deployopt.core.verdict import Outcome, Verdict
from deployopt.pipeline.judging import Finalist, pick
from tests.fakes.candidates import candidate
from tests.fakes.results import accuracy

LIMIT = 0.01


def finalist(name: str, lost: int, gained: int) -> Finalist:
    made = candidate(name, 0.01).made
    assert made is not None
    digest = f"{name}-digest"
    trial: AccuracyTrial = msgspec.structs.replace(accuracy(lost, gained), artifact=digest)
    return Finalist(
        candidate=candidate(name, 0.01),
        made=msgspec.structs.replace(
            made, artifact=msgspec.structs.replace(made.artifact, digest=digest)
        ),
        trial=trial,
        p_value=loss_p_value(trial.lost, trial.gained, trial.examples, LIMIT),
    )


def verdict_at(one: Finalist, level: float) -> Verdict:
    known = Findings(
        artifact=one.made.artifact.digest, accuracy=one.trial, accuracy_confidence=1 - level
    )
    return judge("t", (Budget(metric="accuracy_drop", limit=LIMIT),), known)


def test_the_most_wanted_that_passes_wins() -> None:
    winner, verdict = pick([finalist("int8", 2, 2), finalist("float", 0, 0)], verdict_at)
    assert winner.candidate.recipe.name == "int8"
    assert verdict.outcome is Outcome.ACCEPTED


def test_one_that_loses_too_much_gives_way_to_the_next() -> None:
    winner, verdict = pick([finalist("int8", 60, 2), finalist("float", 0, 0)], verdict_at)
    assert winner.candidate.recipe.name == "float"
    assert verdict.outcome is Outcome.ACCEPTED
    assert verdict.checks[0].confidence == pytest.approx(0.975)


def test_where_none_passes_the_most_wanted_is_shown() -> None:
    winner, verdict = pick([finalist("int8", 60, 2), finalist("other", 70, 2)], verdict_at)
    assert winner.candidate.recipe.name == "int8"
    assert verdict.outcome is not Outcome.ACCEPTED


def test_two_that_would_pass_alone_need_one_that_passes_at_half_the_level() -> None:
    lost = next(n for n in range(60) if 0.025 < finalist("a", n, 0).p_value <= 0.05)
    alone, _ = pick([finalist("a", lost, 0)], verdict_at)
    assert verdict_at(alone, 0.05).outcome is Outcome.ACCEPTED
    _, verdict = pick([finalist("a", lost, 0), finalist("b", lost, 0)], verdict_at)
    assert verdict.outcome is not Outcome.ACCEPTED
