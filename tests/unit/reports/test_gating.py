"""What `gate` judged: terminal, Markdown and the CI summary say the same."""

import io
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from deployopt.core.budget import parse_budget
from deployopt.core.gating import GateResult
from deployopt.pipeline.gating import gate_pytest_benchmark
from deployopt.reports.gating import gate_markdown, gate_summary, print_gate
from deployopt.reports.openmetrics import openmetrics
from tests.fakes.benchmarks import write_runs
from tests.fakes.payloads import payloads


def judged(folder: Path, *, runs: int = 5, names: tuple[str, ...] = ("a",)) -> GateResult:
    files = write_runs(folder, [0.008] * runs, names=names)
    return gate_pytest_benchmark(files, [parse_budget("latency_p95", "10 ms")], ["*"])


def shown(result: GateResult) -> str:
    out = io.StringIO()
    print_gate(result, Console(file=out, width=80, markup=False))
    return out.getvalue()


def test_on_the_terminal(tmp_path: Path) -> None:
    text = shown(judged(tmp_path))
    assert "AMD EPYC 9B14, x86_64, 2 CPUs" in text
    assert "test_it.py > a" in text
    assert "5 runs, 300 requests, medians from 7." in text.replace("\u00a0", " ")
    assert text.rstrip().endswith("exit 0")
    assert max(len(line) for line in text.splitlines()) <= 80
    alone = shown(judged(tmp_path, runs=1))
    assert "UNDECIDED" in alone
    assert "not independent of each other" in alone


def test_for_a_pull_request(tmp_path: Path) -> None:
    text = gate_markdown(judged(tmp_path, names=("a", "b")))
    assert text.count("### ✅") == 2
    assert "| latency p95 | 10 ms |" in text


def test_for_a_ci_service(tmp_path: Path) -> None:
    one = gate_summary(judged(tmp_path))
    assert (one.name, one.word, one.exit_code) == ("a", "accepted", 0)
    assert [case.title for case in one.cases] == ["latency p95 ≤ 10 ms"]
    many = gate_summary(judged(tmp_path, names=("a", "b[1]"), runs=2))
    assert [case.group for case in many.cases] == ["a", "a", "b[1]", "b[1]"]
    assert [case.name for case in many.cases] == ["latency_p95", "artifact"] * 2
    lines = openmetrics(many).decode().splitlines()
    found = [line for line in lines if line.startswith("deployopt_latency_p95_seconds{")]
    assert [line.partition('benchmark="')[2].partition('"')[0] for line in found] == ["a", "b[1]"]


@pytest.mark.parametrize("payload", payloads()[::40])
def test_hostile_names(tmp_path: Path, payload: str) -> None:
    result = judged(tmp_path)
    named = msgspec.structs.replace(result.benchmarks[0], name=payload)
    hostile = msgspec.structs.replace(result, benchmarks=(named,))
    for text in (shown(hostile), gate_markdown(hostile), gate_summary(hostile).name):
        assert "\x1b" not in text
        assert "::" not in text
