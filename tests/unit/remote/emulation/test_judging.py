"""When answers are the same, when rounding explains them, when they are wrong."""

from collections.abc import Sequence

import numpy as np
import pytest

from deployopt.core.artifact import Precision
from deployopt.core.interface import ArrayInputs, Interface, Task
from deployopt.core.samples import Feed
from deployopt.core.verdict import Outcome
from deployopt.device.accuracy import Evaluation
from deployopt.device.reference import Reference, reference_of
from deployopt.remote.emulation.judging import Compared, apart, judged, numerics_of
from tests.fakes.emulated import compared, numerics

INTERFACE = Interface(
    task=Task.ANY, inputs=ArrayInputs(inputs=()), outputs=("y",), labels=("no", "yes")
)


def evaluation(rows: Sequence[Sequence[float]], non_finite: int = 0) -> Evaluation:
    outputs: tuple[Feed, ...] = tuple({"y": np.array([row], dtype=np.float32)} for row in rows)
    return Evaluation(
        outputs=outputs,
        examples=len(rows),
        non_finite=non_finite,
        peak_rss_bytes=1,
        base_rss_bytes=1,
        seconds=1.0,
    )


def pair(
    there: Sequence[Sequence[float]],
    here: Sequence[Sequence[float]],
    precision: Precision = Precision.FP32,
) -> Compared:
    return Compared(
        interface=INTERFACE,
        precision=precision,
        reference=reference_of(INTERFACE, evaluation(here).outputs),
        there=evaluation(there),
        here=evaluation(here),
        exact_here=True,
    )


def test_last_digits_may_differ() -> None:
    found = numerics_of(pair([[1.000001, -1], [0.5, 2.000002]], [[1, -1], [0.5, 2]]))
    assert (found.within, found.same_class, found.agree_reference) == (2, 2, 2)
    assert 0 < found.worst <= 1e-6
    assert judged(found, None)[0] is Outcome.ACCEPTED


def test_a_float_model_may_differ_by_no_more() -> None:
    found = numerics_of(pair([[1.0003, -1]], [[1, -1]]))
    outcome, reasons = judged(found, None)
    assert outcome is Outcome.REJECTED
    assert "0.0003" in reasons[0]


def test_integers_may_round_otherwise_now_and_then() -> None:
    here = [[1.0, -1.0]] * 9 + [[0.5, -0.5]]
    there = [[1.0, -1.0]] * 9 + [[0.6, -0.5]]
    found = numerics_of(pair(there, here, Precision.INT8))
    assert (found.within, found.rms_allowed) == (9, 0.1)
    outcome, reasons = judged(found, None)
    assert outcome is Outcome.ACCEPTED
    assert "9 of 10 outputs are within 1e-05" in reasons[0]


def test_integers_that_are_wrong_everywhere_are_rejected() -> None:
    found = numerics_of(pair([[1.4, -1.4]] * 8, [[1, -1]] * 8, Precision.INT8))
    assert judged(found, None)[0] is Outcome.REJECTED


def test_another_class_is_undecided_where_rounding_may_have_done_it() -> None:
    here = [[1.0, -1.0]] * 7 + [[0.01, -0.01]]
    there = [[1.0, -1.0]] * 7 + [[-0.01, 0.01]]
    found = numerics_of(pair(there, here, Precision.INT8))
    outcome, reasons = judged(found, None)
    assert (outcome, found.same_class) == (Outcome.UNDECIDED, 7)
    assert "1 of 8 examples have another class" in reasons[0]


def test_a_machine_whose_products_saturate_is_no_measure() -> None:
    outcome, reasons = judged(numerics(worst=0.3, rms=0.3, rms_allowed=0.1, exact_here=False), None)
    assert outcome is Outcome.UNDECIDED
    assert "no VNNI" in reasons[0]


def test_an_output_that_is_not_finite_there_only() -> None:
    found = numerics_of(pair([[float("nan"), 1]], [[2, 1]]))
    assert (found.worst, found.same_class) == (float("inf"), 0)
    assert judged(numerics(non_finite=1), None)[0] is Outcome.REJECTED
    assert judged(found, None)[0] is Outcome.REJECTED


def test_outputs_that_cannot_be_compared() -> None:
    here: list[Feed] = [{"y": np.zeros((1, 2), dtype=np.float32)}]
    for there in ({}, {"y": np.zeros((1, 3), dtype=np.float32)}, {"y": np.zeros((1, 2))}):
        assert apart([there], here)[0].by_request == (float("inf"),)
    whole: list[Feed] = [{"n": np.array([3, 4])}]
    assert apart([{"n": np.array([3, 4])}], whole)[0].by_request == (0.0,)
    assert apart([{"n": np.array([3, 5])}], whole)[0].by_request == (float("inf"),)


def test_what_is_not_finite_in_both_places_is_the_same() -> None:
    feed: Feed = {"y": np.array([[np.inf, 1.0]])}
    assert apart([feed], [feed])[0].by_request == (0.0,)


def test_without_classes_requests_agree_with_the_reference() -> None:
    plain = Interface(task=Task.ANY, inputs=ArrayInputs(inputs=()), outputs=("y",))
    here = evaluation([[1, -1], [2, 1]])
    found = numerics_of(
        Compared(
            interface=plain,
            precision=Precision.FP32,
            reference=Reference(results=here.outputs),
            there=here,
            here=here,
            exact_here=True,
        )
    )
    assert (found.same_class, found.agree_reference) == (None, 2)


@pytest.mark.parametrize(
    ("ratio", "allowed", "outcome"),
    [(1.03, 1.02, "rejected"), (1.01, 1.02, "accepted"), (2.0, None, "accepted")],
)
def test_growth_is_judged_where_it_was_limited(
    ratio: float, allowed: float | None, outcome: str
) -> None:
    found, reasons = judged(numerics(), compared(ratio, allowed))
    assert found == outcome
    assert len(reasons) == (1 if allowed is None else 2)
