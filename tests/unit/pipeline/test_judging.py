"""Several finalists at the gate: who is asked, in which order, and who wins."""

import msgspec
import pytest

from deployopt.core.budget import Budget
from deployopt.core.gate import Findings, judge
from deployopt.core.measurement import AccuracyTrial
from deployopt.core.paired import loss_p_value
from deployopt.core.verdict import Outcome, Verdict
from deployopt.pipeline.candidates import Candidate
from deployopt.pipeline.judging import Finalist, decide
from tests.fakes.candidates import candidate
from tests.fakes.results import accuracy

LIMIT = 0.01


def finalist(name: str, lost: int, gained: int) -> Finalist[AccuracyTrial]:
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


def verdict_at(one: Finalist[AccuracyTrial], level: float) -> Verdict:
    known = Findings(
        artifact=one.made.artifact.digest, accuracy=one.trial, accuracy_confidence=1 - level
    )
    return judge("t", (Budget(metric="accuracy_drop", limit=LIMIT),), known)


def decided(*finalists: Finalist[AccuracyTrial]) -> tuple[str, Verdict, tuple[str, ...]]:
    """The winner's name, its verdict, and who was asked; the most wanted first."""
    known = {one.candidate.recipe.name: one for one in finalists}
    found = decide([one.candidate for one in finalists], lambda c: known[c.recipe.name], verdict_at)
    assert found is not None
    winner, verdict, asked = found
    return winner.candidate.recipe.name, verdict, tuple(a.candidate.recipe.name for a in asked)


def test_the_most_wanted_that_passes_wins() -> None:
    name, verdict, asked = decided(
        finalist("small", 2, 2), finalist("int8", 1, 1), finalist("float", 0, 0)
    )
    assert (name, verdict.outcome) == ("small", Outcome.ACCEPTED)
    assert asked == ("int8", "small")


def test_the_first_that_loses_too_much_ends_it() -> None:
    name, verdict, asked = decided(
        finalist("smaller", 2, 2), finalist("small", 60, 2), finalist("int8", 1, 1)
    )
    assert (name, verdict.outcome) == ("int8", Outcome.ACCEPTED)
    assert asked == ("int8", "small")


def test_float_is_asked_where_no_other_passes() -> None:
    name, verdict, asked = decided(finalist("int8", 60, 2), finalist("float", 0, 0))
    assert (name, verdict.outcome) == ("float", Outcome.ACCEPTED)
    assert asked == ("int8", "float")
    assert verdict.checks[0].confidence == pytest.approx(0.995)


def test_where_none_passes_a_verdict_is_given_all_the_same() -> None:
    name, verdict, asked = decided(finalist("other", 70, 2), finalist("int8", 60, 2))
    assert (name, asked) == ("int8", ("int8",))
    assert verdict.outcome is not Outcome.ACCEPTED


def test_the_others_leave_a_tenth_of_alpha_to_float() -> None:
    lost = next(n for n in range(60) if 0.045 < finalist("a", n, 0).p_value <= 0.05)
    alone, _, _ = decided(finalist("a", lost, 0))
    assert alone == "a"
    name, _, _ = decided(finalist("a", lost, 0), finalist("float", 0, 0))
    assert name == "float"


@pytest.mark.parametrize(
    ("crashes", "name", "asked"),
    [
        ({"small"}, "int8", ("int8",)),
        ({"int8"}, "float", ("float",)),
        ({"int8", "float"}, None, ()),
    ],
)
def test_one_that_crashes_at_the_gate_fails_alone(
    crashes: set[str], name: str | None, asked: tuple[str, ...]
) -> None:
    """It ends the sequence, as one that loses too much does; what passed before it may win."""
    finalists = [finalist("small", 0, 0), finalist("int8", 1, 1), finalist("float", 0, 0)]
    known = {one.candidate.recipe.name: one for one in finalists}

    def ask(c: Candidate) -> Finalist[AccuracyTrial] | None:
        return None if c.recipe.name in crashes else known[c.recipe.name]

    found = decide([one.candidate for one in finalists], ask, verdict_at)
    assert (found and found[0].candidate.recipe.name) == name
    assert tuple(one.candidate.recipe.name for one in (found[2] if found else ())) == asked
