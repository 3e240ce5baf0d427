"""A drawing a target, with the bounds and where each time comes from."""

from pathlib import Path

import msgspec
import pytest

from deployopt.core.evidence import Evidence
from deployopt.core.figure import Figure
from deployopt.core.matrix import CellName, CellResult
from deployopt.core.verdict import Check, Outcome, Verdict
from deployopt.reports.matrix_pareto import POINTS, TARGETS, fronts
from tests.fakes.cells import cell, result_of

SIZE = Figure(value=1.0, evidence=Evidence.EXACT)


@pytest.fixture
def plain(tmp_path: Path) -> CellResult:
    return result_of(cell(store=tmp_path / "store"))


def judged(
    plain: CellResult, model: str, target: str, time: Evidence, *, limit: float = 0.06
) -> CellResult:
    check = Check(metric="latency_p95", limit=limit, outcome=Outcome.ACCEPTED, evidence=time,
                  reason="well")  # fmt: skip
    return msgspec.structs.replace(
        plain,
        name=CellName(model=model, target=target),
        figures={
            "latency_p95": Figure(value=0.02, lower=0.01, upper=0.04, evidence=time),
            "accuracy_drop": Figure(value=0.01, upper=0.02, evidence=Evidence.PROXY),
        },
        verdict=Verdict(target=target, artifact="0" * 64, outcome=Outcome.ACCEPTED,
                        provisional=False, checks=(check,)),
    )  # fmt: skip


def test_a_target_has_a_drawing_with_a_mark_for_its_evidence(plain: CellResult) -> None:
    cells = [
        judged(plain, "a", "rpi4", Evidence.TARGET),
        judged(plain, "b", "rpi4", Evidence.PREDICTED),
        judged(plain, "a", "x86", Evidence.PROXY),
        msgspec.structs.replace(plain, figures={"artifact_size": SIZE}),
    ]
    (first, second), more = fronts(cells)
    assert (first.target, second.target, more) == ("rpi4", "x86", 0)
    assert 'class="dot"' in first.svg
    assert 'class="open"' in first.svg
    assert 'class="half"' not in first.svg
    assert 'class="half"' in second.svg
    assert "budget 60 ms" in first.svg
    # A limit of the target is not drawn over another machine's figures.
    assert "budget 60 ms" not in second.svg
    assert first.notes == ("1 cell has no such pair of figures.",)
    assert first.svg.count('class="whisker') == 4


def test_budgets_that_differ_are_not_drawn(plain: CellResult) -> None:
    cells = [
        judged(plain, "a", "rpi4", Evidence.TARGET),
        judged(plain, "b", "rpi4", Evidence.TARGET, limit=0.03),
    ]
    ((front,), _) = fronts(cells)
    assert "budget" not in front.svg


def test_tokens_a_second_become_time_a_token(plain: CellResult) -> None:
    one = msgspec.structs.replace(
        plain,
        figures={
            "decode_tps_min": Figure(value=50.0, lower=40.0, upper=None, evidence=Evidence.TARGET),
            "nll_increase": Figure(value=0.01, evidence=Evidence.PROXY),
        },
    )
    ((front,), _) = fronts([one])
    assert "time a token after the first" in front.svg


def test_very_many_are_bounded_and_names_are_text(plain: CellResult) -> None:
    evil = '"><script>x</script>'
    cells = [judged(plain, f"m{n}", f"t{n % 40}", Evidence.TARGET) for n in range(400)]
    drawn, more = fronts([*cells, judged(plain, evil, "t0", Evidence.TARGET)])
    assert (len(drawn), more) == (TARGETS, 40 - TARGETS)
    assert all("<script" not in front.svg for front in drawn)
    crowd = [judged(plain, f"m{n}", "t", Evidence.TARGET) for n in range(POINTS + 5)]
    ((front,), _) = fronts(crowd)
    assert front.notes[0] == "5 slower cells are not drawn."


def test_nothing_to_draw(plain: CellResult) -> None:
    assert fronts([plain]) == ([], 0)
