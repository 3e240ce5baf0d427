"""What becomes of each budget: met, missed, undecided, predicted; and of what no budget says."""

from pathlib import Path

import msgspec
import pytest

from deployopt.core.result import VerifyResult
from deployopt.core.verdict import Outcome
from tests.fakes.plugin_project import Ended, run_pytest, write_project
from tests.fakes.results import verdict, verify_result


def ran(folder: Path, answer: VerifyResult | None, *words: str) -> Ended:
    return run_pytest(write_project(folder, answer), "--deployopt-bundle", "bundle", *words)


@pytest.mark.parametrize("word", ["undecided", pytest.param("rejected", marks=pytest.mark.slow)])
def test_a_budget_that_is_not_met_fails_with_its_reason(tmp_path: Path, word: str) -> None:
    ended = ran(tmp_path, verify_result(word))
    assert ended.code == 1
    assert "1 failed, 4 passed" in ended.out
    assert f"FAILED bundle/budgets.json::latency_p95 - {word}: latency p95 ≤ 60 ms" in ended.out
    assert "reason: The " in ended.out
    assert "Traceback" not in ended.out
    assert "items.py" not in ended.out


@pytest.mark.slow
def test_a_prediction_passes_only_when_that_was_asked_for(tmp_path: Path) -> None:
    answer = verify_result("provisional")
    ended = ran(tmp_path / "a", answer)
    assert "2 failed, 3 passed" in ended.out
    taken = msgspec.structs.replace(answer, exit_code=0)
    assert "5 passed" in ran(tmp_path / "b", taken, "--deployopt-accept-predicted").out


def test_what_no_budget_says_fails_too(tmp_path: Path) -> None:
    whole = msgspec.structs.replace(
        verdict("accepted"), outcome=Outcome.REJECTED, reasons=("3 outputs are not finite.",)
    )
    answer = msgspec.structs.replace(verify_result(), verdict=whole, exit_code=1)
    ended = ran(tmp_path, answer)
    assert "1 failed, 4 passed" in ended.out
    assert "3 outputs are not finite." in ended.out


@pytest.mark.slow
def test_a_verdict_about_other_budgets_is_no_pass(tmp_path: Path) -> None:
    answer = verify_result()
    fewer = msgspec.structs.replace(answer.verdict, checks=answer.verdict.checks[1:])
    ended = ran(tmp_path / "a", msgspec.structs.replace(answer, verdict=fewer))
    assert "1 failed" in ended.out
    assert "the verdict says nothing of this budget" in ended.out
    more = msgspec.structs.replace(answer, budgets=answer.budgets[1:])
    ended = ran(tmp_path / "b", more)
    assert "1 failed" in ended.out
    assert "Not tested: accuracy_drop" in ended.out


@pytest.mark.slow
def test_a_verification_that_fails_fails_every_test(tmp_path: Path) -> None:
    ended = ran(tmp_path, None)
    assert ended.code == 1
    assert "1 failed" in ended.out
    assert "IntegrityError: The bundle is not the one that was built." in ended.out
    assert "--deployopt-proxy" in ended.out
