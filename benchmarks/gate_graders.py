"""Simulated graders: right and wrong drawn at a known loss, judged by the gate's own functions.

In: a true loss and discordance, runs. Out: how many runs were accepted. Every seed is fixed.
"""

from typing import Final

import numpy as np

from benchmarks.gate_clocks import Counts, count_rows
from deployopt.core.budget import Budget
from deployopt.core.evidence import Evidence
from deployopt.core.gate import Findings, judge
from deployopt.core.latency_check import CONFIDENCE
from deployopt.core.measurement import AccuracyTrial, Split
from deployopt.core.paired import loss_p_value
from deployopt.core.sample_size import examples_needed
from deployopt.core.verdict import Outcome, Verdict
from deployopt.pipeline.candidates import Candidate
from deployopt.pipeline.judging import Finalist, decide
from tests.fakes.candidates import candidate

POINT: Final = 0.01
FAMILY: Final = 50


def planned(discordance: float) -> int:
    """Return the examples that a budget of one point needs: power 90 % at no true loss."""
    n = examples_needed(POINT, discordance, power=0.9)
    if n is None:
        raise ValueError("no number of examples certifies the budget")
    return n


def accuracy_accepts(loss: float, discordance: float, runs: int, *, margin: float = POINT) -> int:
    """Count runs in which a candidate of this true loss is accepted within the margin."""
    n = planned(discordance)
    tables = _tables(loss, discordance, runs, n)
    return count_rows(
        tables, lambda row: _verdict(_trial(row, n), margin).outcome is Outcome.ACCEPTED
    )


def point_rule_accepts(loss: float, discordance: float, runs: int) -> int:
    """Count runs in which "observed loss within the margin" would have accepted."""
    n = planned(discordance)
    tables = _tables(loss, discordance, runs, n)
    return int(np.count_nonzero(tables[:, 0] - tables[:, 1] <= POINT * n))


def family_accepts(discordance: float, runs: int) -> int:
    """Count runs in which any of fifty candidates at the margin passes the gate.

    They are asked as `build` asks its finalists.
    """
    n = planned(discordance)
    tables = _tables(POINT, discordance, runs * FAMILY, n).reshape(runs, FAMILY, 2)
    candidates = [candidate(f"int8-{place}", 0.01) for place in range(FAMILY)]
    return sum(_any_accepted(family.tolist(), n, candidates) for family in tables)


def _any_accepted(family: list[list[int]], n: int, candidates: list[Candidate]) -> bool:
    places = {one.recipe.name: place for place, one in enumerate(candidates)}

    def ask(one: Candidate) -> Finalist[AccuracyTrial]:
        if one.made is None:
            raise ValueError("a made-up candidate is made")
        lost, gained = family[places[one.recipe.name]]
        p_value = loss_p_value(lost, gained, n, POINT)
        return Finalist(
            candidate=one, made=one.made, trial=_trial([lost, gained], n), p_value=p_value
        )

    def verdict_at(one: Finalist[AccuracyTrial], level: float) -> Verdict:
        return _verdict(one.trial, POINT, 1.0 - level)

    decided = decide(candidates, ask, verdict_at)
    return decided is not None and decided[1].outcome is Outcome.ACCEPTED


def _verdict(trial: AccuracyTrial, margin: float, confidence: float = CONFIDENCE) -> Verdict:
    budget = Budget(metric="accuracy_drop", limit=margin)
    known = Findings(artifact=trial.artifact, accuracy=trial, accuracy_confidence=confidence)
    return judge("simulated", [budget], known)


def _trial(row: list[int], n: int) -> AccuracyTrial:
    lost, gained = row
    return AccuracyTrial(
        artifact="simulated",
        split=Split.GATE,
        evidence=Evidence.TARGET,
        labelled=True,
        examples=n,
        both_right=n - lost - gained,
        lost=lost,
        gained=gained,
        both_wrong=0,
    )


def _tables(loss: float, discordance: float, runs: int, n: int) -> Counts:
    """Return b and c of each run, one row a run."""
    random = np.random.default_rng([17, runs])
    shares = [0.5 * (discordance + loss), 0.5 * (discordance - loss), 1.0 - discordance]
    return random.multinomial(n, shares, size=runs)[:, :2]
