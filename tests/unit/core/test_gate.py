"""The gate fails closed: every way not to know is undecided or rejected, never accepted."""

import re
from typing import Any

import msgspec
import pytest

from deployopt.core.budget import Budget
from deployopt.core.errors import ExitCode, IntegrityError, UsageError
from deployopt.core.evidence import Estimate, Evidence
from deployopt.core.gate import Findings, judge
from deployopt.core.measurement import AccuracyTrial, Conditions, Machine, Round, Split, Trial
from deployopt.core.metric import METRICS
from deployopt.core.verdict import Outcome

MACHINE = Machine(
    arch="x86_64", cpu="a cpu", cores=2, memory_bytes=1 << 34, kernel="6", python="3.11"
)
LATENCY = Budget(metric="latency_p95", limit=0.060)
LOSS = Budget(metric="accuracy_drop", limit=0.01)
MEMORY = Budget(metric="memory_peak", limit=512 * 2**20)
SIZE = Budget(metric="artifact_size", limit=80e6)


def one_round(samples: tuple[float, ...] = (0.01,) * 100, **changes: Any) -> Round:
    made = Round(
        load_s=0.1,
        first_s=0.02,
        warmup_s=(0.01,) * 75,
        steady=True,
        samples_s=samples,
        peak_rss_bytes=200 * 2**20,
        base_rss_bytes=60 * 2**20,
        conditions=Conditions(),
    )
    return msgspec.structs.replace(made, **changes)


def timed(rounds: tuple[Round, ...] = (one_round(),) * 6, **changes: Any) -> Trial:
    made = Trial(
        artifact="a" * 64,
        machine=MACHINE,
        evidence=Evidence.TARGET,
        threads=2,
        batch=1,
        rounds=rounds,
    )
    return msgspec.structs.replace(made, **changes)


def compared(lost: int = 10, gained: int = 10, **changes: Any) -> AccuracyTrial:
    made = AccuracyTrial(
        artifact="a" * 64,
        split=Split.GATE,
        evidence=Evidence.PROXY,
        labelled=True,
        examples=3000,
        both_right=2600,
        lost=lost,
        gained=gained,
        both_wrong=3000 - 2600 - lost - gained,
    )
    return msgspec.structs.replace(made, **changes)


def findings(**changes: Any) -> Findings:
    made = Findings(artifact="a" * 64, latency=timed(), accuracy=compared(), size_bytes=20_000_000)
    return msgspec.structs.replace(made, **changes)


ALL = (LATENCY, LOSS, MEMORY, SIZE)


def test_all_inside_is_accepted() -> None:
    verdict = judge("t", ALL, findings())
    assert verdict.outcome is Outcome.ACCEPTED
    assert not verdict.provisional
    assert verdict.exit_code() is ExitCode.ACCEPTED
    assert {check.metric for check in verdict.checks} == {b.metric for b in ALL}


def test_no_budget_is_no_verdict() -> None:
    with pytest.raises(UsageError, match="no budget"):
        judge("t", (), findings())


@pytest.mark.parametrize(
    "wrong",
    [{"latency": timed(artifact="b" * 64)}, {"accuracy": compared(artifact="b" * 64)}],
)
def test_another_artifacts_measurement_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError, match="Measure again"):
        judge("t", ALL, findings(**wrong))


@pytest.mark.parametrize("missing", [{"latency": None}, {"accuracy": None}, {"size_bytes": None}])
def test_a_missing_metric_rejects(missing: dict[str, Any]) -> None:
    assert judge("t", ALL, findings(**missing)).outcome is Outcome.REJECTED


@pytest.mark.parametrize("metric", sorted(METRICS))
def test_every_metric_without_a_number_rejects(metric: str) -> None:
    budget = Budget(metric=metric, limit=1.0)
    verdict = judge("t", (budget,), Findings(artifact="a" * 64))
    assert verdict.outcome is Outcome.REJECTED


def test_a_prediction_is_never_accepted() -> None:
    inside = Estimate(value=0.02, lower=0.01, upper=0.05, basis="datasheet")
    known = findings(latency=timed(evidence=Evidence.PROXY), predictions={"latency_p95": inside})
    verdict = judge("t", (LATENCY, LOSS, SIZE), known)
    assert verdict.outcome is Outcome.UNDECIDED
    assert verdict.provisional
    assert verdict.exit_code() is ExitCode.UNDECIDED
    assert verdict.exit_code(accept_predicted=True) is ExitCode.ACCEPTED


def test_a_prediction_that_may_miss_is_not_provisional() -> None:
    wide = Estimate(value=0.05, lower=0.02, upper=0.12, basis="datasheet")
    verdict = judge("t", (LATENCY,), findings(latency=None, predictions={"latency_p95": wide}))
    assert verdict.outcome is Outcome.UNDECIDED
    assert not verdict.provisional
    assert verdict.exit_code(accept_predicted=True) is ExitCode.UNDECIDED


def test_slow_is_rejected() -> None:
    slow = timed((one_round((0.07,) * 100),) * 6)
    assert judge("t", (LATENCY,), findings(latency=slow)).outcome is Outcome.REJECTED


def test_one_round_that_disagrees_is_undecided() -> None:
    rounds = (one_round((0.01,) * 1000),) * 6 + (one_round((0.07,) * 20 + (0.01,) * 30),)
    verdict = judge("t", (LATENCY,), findings(latency=timed(rounds)))
    assert verdict.outcome is Outcome.UNDECIDED
    assert verdict.checks[0].settle


def test_too_few_requests_or_rounds_are_undecided() -> None:
    few = judge("t", (LATENCY,), findings(latency=timed((one_round((0.01,) * 9),) * 6)))
    assert few.outcome is Outcome.UNDECIDED
    assert "59" in (few.checks[0].settle or "")
    short = judge("t", (LATENCY, MEMORY), findings(latency=timed((one_round(),) * 4)))
    assert {check.outcome for check in short.checks} == {Outcome.UNDECIDED}


def test_too_many_void_rounds_are_undecided() -> None:
    rounds = (one_round(),) * 7 + (one_round(void="throttled"),) * 2
    verdict = judge("t", (LATENCY,), findings(latency=timed(rounds)))
    assert verdict.outcome is Outcome.UNDECIDED
    assert "throttled" in verdict.checks[0].reason
    tolerated = judge("t", (LATENCY,), findings(latency=timed(rounds[:-1])))
    assert tolerated.outcome is Outcome.ACCEPTED


def test_a_void_round_counts_neither_way() -> None:
    rounds = (one_round(),) * 8 + (one_round((0.9,) * 100, void="steal"),)
    assert judge("t", (LATENCY,), findings(latency=timed(rounds))).outcome is Outcome.ACCEPTED


def test_a_cheating_runtime_rejects() -> None:
    rounds = (*(one_round(),) * 5, one_round(mismatched=1, compared=10))
    verdict = judge("t", (LATENCY,), findings(latency=timed(rounds)))
    assert verdict.outcome is Outcome.REJECTED
    assert "another output" in verdict.reasons[0]


def test_a_crash_rejects() -> None:
    verdict = judge("t", ALL, findings(latency=timed((), failure="it died by SIGSEGV")))
    assert verdict.outcome is Outcome.REJECTED
    assert "SIGSEGV" in verdict.reasons[0]


def test_non_finite_outputs_reject() -> None:
    verdict = judge("t", (LOSS,), findings(accuracy=compared(0, 0, non_finite=1)))
    assert verdict.outcome is Outcome.REJECTED


def test_a_loss_at_the_budget_is_undecided_and_a_large_one_rejected() -> None:
    at = judge("t", (LOSS,), findings(accuracy=compared(60, 30)))
    assert at.outcome is Outcome.UNDECIDED
    assert "no number of examples" in (at.checks[0].settle or "")
    near = judge("t", (LOSS,), findings(accuracy=compared(50, 30)))
    assert re.search(r"about [\d,]+ more examples", near.checks[0].settle or "")
    far = judge("t", (LOSS,), findings(accuracy=compared(150, 10)))
    assert far.outcome is Outcome.REJECTED


def test_foreign_arithmetic_cannot_vouch() -> None:
    verdict = judge("t", (LOSS,), findings(accuracy=compared(exact_arithmetic=False)))
    assert verdict.outcome is Outcome.UNDECIDED
    assert not verdict.provisional
    on_target = compared(exact_arithmetic=False, evidence=Evidence.TARGET)
    assert judge("t", (LOSS,), findings(accuracy=on_target)).outcome is Outcome.ACCEPTED


def test_what_a_stand_in_answered_is_never_accepted() -> None:
    """Not even where nothing else is asked: the artifact itself has not run."""
    verdict = judge("t", (LOSS,), findings(accuracy=compared(stand_in="its graph on a CPU")))
    assert (verdict.outcome, verdict.provisional) == (Outcome.UNDECIDED, True)
    (check,) = verdict.checks
    assert "answered by its graph on a CPU" in check.reason
    assert check.settle is not None
    lost = compared(lost=200, both_right=700, stand_in="its graph on a CPU")
    assert judge("t", (LOSS,), findings(accuracy=lost)).outcome is Outcome.REJECTED


def test_made_up_inputs_prove_nothing() -> None:
    made_up = compared(0, 0, labelled=False, synthetic=True)
    assert judge("t", (LOSS,), findings(accuracy=made_up)).outcome is Outcome.UNDECIDED


def test_a_doubt_keeps_from_accepting_and_from_provisional() -> None:
    verdict = judge("t", ALL, findings(doubts=("the labels look permuted",)))
    assert verdict.outcome is Outcome.UNDECIDED
    assert not verdict.provisional


def test_too_large_is_rejected_to_the_byte() -> None:
    assert judge("t", (SIZE,), findings(size_bytes=80_000_000)).outcome is Outcome.ACCEPTED
    assert judge("t", (SIZE,), findings(size_bytes=80_000_001)).outcome is Outcome.REJECTED


def test_memory_is_judged_by_every_round() -> None:
    high = one_round(peak_rss_bytes=600 * 2**20)
    straddling = judge("t", (MEMORY,), findings(latency=timed((*(one_round(),) * 5, high))))
    assert straddling.outcome is Outcome.UNDECIDED
    over = judge("t", (MEMORY,), findings(latency=timed((high,) * 5)))
    assert over.outcome is Outcome.REJECTED


THROUGHPUT = Budget(metric="throughput", limit=50.0)
ENERGY = Budget(metric="energy", limit=0.5)


def at_rates(*rates: float, **changes: Any) -> Trial:
    """Rounds of 100 requests that take 1 / rate each."""
    return timed(tuple(one_round((1 / rate,) * 100) for rate in rates), **changes)


@pytest.mark.parametrize(
    ("rates", "outcome"),
    [
        ((60, 70, 65, 61, 62), Outcome.ACCEPTED),
        ((60, 70, 65, 49, 62), Outcome.UNDECIDED),
        ((40, 41, 42, 43, 44), Outcome.REJECTED),
        ((60, 70, 65, 61), Outcome.UNDECIDED),  # four rounds bound nothing
    ],
)
def test_a_throughput_is_bounded_from_below_by_rounds(
    rates: tuple[float, ...], outcome: Outcome
) -> None:
    (check,) = judge("t", (THROUGHPUT,), findings(latency=at_rates(*rates))).checks
    assert check.outcome is outcome
    assert check.lower == pytest.approx(min(rates))
    assert check.upper == pytest.approx(max(rates))


def test_throughput_counts_examples_and_the_waiting_between_requests() -> None:
    batched = at_rates(*(10.0,) * 5, batch=8)
    (check,) = judge("t", (THROUGHPUT,), findings(latency=batched)).checks
    assert check.observed == pytest.approx(80.0)
    waiting = tuple(msgspec.structs.replace(r, elapsed_s=20.0) for r in batched.rounds)
    served = msgspec.structs.replace(batched, rounds=waiting)
    (check,) = judge("t", (THROUGHPUT,), findings(latency=served)).checks
    assert check.observed == pytest.approx(40.0)
    assert check.outcome is Outcome.REJECTED


def test_a_predicted_throughput_waits_for_the_target() -> None:
    proxy = at_rates(*(99.0,) * 5, evidence=Evidence.PROXY)
    low = Estimate(value=80.0, lower=45.0, upper=120.0, coverage=0.8, basis="a model")
    high = msgspec.structs.replace(low, lower=51.0)
    for estimate, inside in ((low, False), (high, True)):
        found = findings(latency=proxy, predictions={"throughput": estimate})
        verdict = judge("t", (THROUGHPUT,), found)
        assert verdict.outcome is Outcome.UNDECIDED
        assert verdict.provisional is inside
        assert "predicted down to" in verdict.checks[0].reason


@pytest.mark.parametrize(("joules", "outcome"), [(0.3, Outcome.ACCEPTED), (0.7, Outcome.REJECTED)])
def test_energy_is_measured_where_the_machine_counts_it(joules: float, outcome: Outcome) -> None:
    rounds = tuple(one_round(energy_j=100 * joules) for _ in range(6))
    (check,) = judge("t", (ENERGY,), findings(latency=timed(rounds))).checks
    assert check.outcome is outcome
    assert check.observed == pytest.approx(joules)
    assert "whole processor" in check.reason


def test_energy_that_nothing_counts_stays_a_prediction() -> None:
    estimate = Estimate(value=0.3, lower=0.2, upper=0.4, coverage=0.8, basis="load power")
    (check,) = judge("t", (ENERGY,), findings(predictions={"energy": estimate})).checks
    assert check.evidence is Evidence.PREDICTED
    assert check.outcome is Outcome.UNDECIDED
