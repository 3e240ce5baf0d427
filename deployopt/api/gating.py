"""The call that judges figures which another tool measured."""

from collections.abc import Sequence
from pathlib import Path

from deployopt.api.arguments import Budgets, limits_of
from deployopt.core.errors import UsageError
from deployopt.core.gating import GateResult


def gate(
    *,
    budgets: Budgets,
    pytest_benchmark: Sequence[str | Path] = (),
    samples: Sequence[str | Path] = (),
    benchmarks: Sequence[str] = (),
) -> GateResult:
    """Judge latencies that another tool timed; each file is one run, and at least five are needed.

    Args:
        budgets: limits on latency, e.g. `{"latency_p95": "25 ms"}`.
        pytest_benchmark: files that pytest-benchmark saved, with raw data.
        samples: plain files in its place: seconds, a number a line or a JSON list.
        benchmarks: names or patterns of the benchmarks meant; needed where a file holds several.

    Raises:
        UsageError: a file, a budget or a name is wrong; runs are of unlike machines, or copies.
    """
    from deployopt.pipeline.gating import gate_pytest_benchmark, gate_samples

    if bool(pytest_benchmark) == bool(samples):
        raise UsageError(
            "Give files of one kind: --pytest-benchmark FILE for each run, or --samples FILE."
        )
    if samples:
        if benchmarks:
            raise UsageError("--benchmark picks from files of pytest-benchmark; --samples has one.")
        return gate_samples([Path(path) for path in samples], limits_of(budgets))
    files = [Path(path) for path in pytest_benchmark]
    return gate_pytest_benchmark(files, limits_of(budgets), tuple(benchmarks))
