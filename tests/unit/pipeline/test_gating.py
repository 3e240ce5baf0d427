"""Figures of another tool: five runs or no verdict, like machines only, no run twice."""

import json
from pathlib import Path

import pytest

from deployopt.core.budget import parse_budget
from deployopt.core.errors import UsageError
from deployopt.core.verdict import Outcome
from deployopt.pipeline.gating import BUSY, gate_pytest_benchmark, gate_samples
from tests.fakes.benchmarks import saved, write_runs

P95 = parse_budget("latency_p95", "10 ms")
P99 = parse_budget("latency_p99", "10 ms")


@pytest.mark.parametrize(
    ("medians", "outcome", "code"),
    [
        ([0.008] * 5, Outcome.ACCEPTED, 0),
        ([0.012] * 5, Outcome.REJECTED, 1),
        ([0.00957] * 5, Outcome.UNDECIDED, 3),
        ([0.008] * 5 + [0.012], Outcome.UNDECIDED, 3),
        ([0.008] * 4, Outcome.UNDECIDED, 3),
        ([0.012], Outcome.UNDECIDED, 3),
    ],
)
def test_the_outcome(tmp_path: Path, medians: list[float], outcome: Outcome, code: int) -> None:
    result = gate_pytest_benchmark(write_runs(tmp_path, medians), [P95])
    assert (result.outcome, result.exit_code) == (outcome, code)
    (one,) = result.benchmarks
    assert [run.requests for run in one.runs] == [60] * len(medians)
    assert "rounds" not in one.verdict.checks[0].reason


def test_one_run_says_what_it_is_and_how_to_go_on(tmp_path: Path) -> None:
    result = gate_pytest_benchmark(write_runs(tmp_path, [0.001]), [P95])
    verdict = result.benchmarks[0].verdict
    assert "not independent" in verdict.reasons[0]
    assert verdict.checks[0].settle == (
        "run pytest 4 more times, each with a --benchmark-json of its own, and give all files"
    )
    many = gate_pytest_benchmark(write_runs(tmp_path, [0.001] * 5), [P95])
    assert many.benchmarks[0].verdict.reasons == ()


def test_a_tail_needs_its_requests(tmp_path: Path) -> None:
    few = gate_pytest_benchmark(write_runs(tmp_path, [0.008] * 5, requests=59), [P99])
    assert few.exit_code == 3
    assert few.benchmarks[0].verdict.checks[0].settle == "measure at least 299 requests"
    assert gate_pytest_benchmark(write_runs(tmp_path, [0.008] * 5), [P99]).exit_code == 0


class TestNames:
    def test_one_of_several_has_to_be_named(self, tmp_path: Path) -> None:
        files = write_runs(tmp_path, [0.008] * 5, names=("fast", "slow[1]"))
        with pytest.raises(UsageError, match=r"2 benchmarks \('fast', 'slow\[1\]'\).*--benchmark"):
            gate_pytest_benchmark(files, [P95])
        for patterns, number in ((["fast"], 1), (["slow[1]"], 1), (["*"], 2), (["*.py::f*"], 1)):
            found = gate_pytest_benchmark(files, [P95], patterns)
            assert len(found.benchmarks) == number
        with pytest.raises(UsageError, match=r"No benchmark in .* is called 'slwo'"):
            gate_pytest_benchmark(files, [P95], ["fast", "slwo"])

    def test_every_run_has_it(self, tmp_path: Path) -> None:
        files = write_runs(tmp_path, [0.008] * 5)
        files[3].write_text(json.dumps(saved({"test_it.py::b": [0.1]})))
        with pytest.raises(UsageError, match=r"run-3\.json has no benchmark 'a'"):
            gate_pytest_benchmark(files, [P95])

    def test_the_worst_decides(self, tmp_path: Path) -> None:
        files = write_runs(tmp_path, [0.008] * 5, names=("a", "b"))
        content = [json.loads(file.read_bytes()) for file in files]
        for file, one in zip(files, content, strict=True):
            one["benchmarks"][1]["stats"]["data"] = [
                2 * figure for figure in one["benchmarks"][1]["stats"]["data"]
            ]
            file.write_text(json.dumps(one))
        found = gate_pytest_benchmark(files, [P95], ["*"])
        outcomes = [one.verdict.outcome for one in found.benchmarks]
        assert outcomes == [Outcome.ACCEPTED, Outcome.REJECTED]
        assert found.exit_code == 1


class TestMachines:
    @pytest.mark.parametrize(
        "machine",
        [{"machine": "aarch64"}, {"cpu": {"brand_raw": "Other", "count": 2}}, {"release": "5"},
         {"cpu": {"brand_raw": "AMD EPYC 9B14", "count": 4}}, {"python_version": "3.12.1"}],
    )  # fmt: skip
    def test_unlike_ones_are_refused(self, tmp_path: Path, machine: dict[str, object]) -> None:
        files = write_runs(tmp_path, [0.008] * 5)
        content = json.loads(files[4].read_bytes())
        content["machine_info"] |= machine
        files[4].write_text(json.dumps(content))
        with pytest.raises(UsageError, match="unlike machines"):
            gate_pytest_benchmark(files, [P95])

    def test_two_of_one_kind_are_told(self, tmp_path: Path) -> None:
        files = write_runs(tmp_path, [0.008] * 5)
        content = json.loads(files[4].read_bytes())
        content["machine_info"]["node"] = "runner-2"
        files[4].write_text(json.dumps(content))
        (warning, _) = gate_pytest_benchmark(files, [P95]).warnings
        assert "2 machines of one kind ('runner-1', 'runner-2')" in warning


def test_what_the_files_cannot_say_is_said(tmp_path: Path) -> None:
    assert gate_pytest_benchmark(write_runs(tmp_path, [0.008] * 5), [P95]).warnings == (BUSY,)


def test_a_copy_is_no_second_run(tmp_path: Path) -> None:
    files = write_runs(tmp_path, [0.008] * 5)
    with pytest.raises(UsageError, match="same instant"):
        gate_pytest_benchmark([*files[:4], files[0]], [P95])
    copy = json.loads(files[0].read_bytes()) | {"datetime": "another"}
    files[4].write_text(json.dumps(copy))
    with pytest.raises(UsageError, match="a copy is no second run"):
        gate_pytest_benchmark(files, [P95])


def test_only_latency_can_be_judged(tmp_path: Path) -> None:
    files = write_runs(tmp_path, [0.008] * 5)
    with pytest.raises(UsageError, match="accuracy_drop cannot be judged from timings"):
        gate_pytest_benchmark(files, [P95, parse_budget("accuracy_drop", "1 pt")])
    with pytest.raises(UsageError, match="no budget"):
        gate_pytest_benchmark(files, [])


def test_plain_samples(tmp_path: Path) -> None:
    files = []
    for number in range(5):
        files.append(tmp_path / f"{number}.txt")
        files[-1].write_text("".join(f"{8 + 0.001 * number + 0.01 * k} ms\n" for k in range(60)))
    result = gate_samples(files, [P95])
    assert result.exit_code == 0
    assert "taken on word" in result.warnings[0]
    one = gate_samples(files[:1], [P95])
    assert one.exit_code == 3
    assert "in a fresh process" in str(one.benchmarks[0].verdict.checks[0].settle)
    with pytest.raises(UsageError, match="a copy"):
        gate_samples([*files, files[0]], [P95])
