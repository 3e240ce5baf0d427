"""Judge what another tool timed, by the same bound as a measurement of our own.

In: files, each of them one run; budgets on latency. Out: a verdict a benchmark. One run is one
process, and its requests are not independent: fewer than five runs are undecided, whatever they
show. Refuses (UsageError) runs of unlike machines, and a run that is given twice.
"""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from statistics import median
from typing import Final

import msgspec

from deployopt.core.budget import Budget
from deployopt.core.errors import UsageError
from deployopt.core.evidence import Evidence
from deployopt.core.gating import (
    GatedBenchmark,
    GateResult,
    Host,
    Run,
    RunSummary,
    outcome_code,
    worst,
)
from deployopt.core.latency_check import CONFIDENCE, latency_check
from deployopt.core.metric import METRICS, Kind
from deployopt.core.quantiles import least_rounds
from deployopt.core.text import name_list, safe_text
from deployopt.core.verdict import Check, Outcome, Verdict
from deployopt.sources.pytest_benchmark import BenchmarkFile, read_pytest_benchmark
from deployopt.sources.timing_files import read_latencies

BUSY: Final = (
    "The files say nothing of load or throttling: a busy machine counts as a slow model, and no "
    "run is void."
)
_UNKNOWN: Final = "a machine that was not named"
_LIKE: Final = ("cpu", "arch", "cores", "system", "kernel", "python")
"""What must be the same for two runs to count as of one machine; names in the network need not."""
_AGAIN: Final = {
    "pytest-benchmark": "run pytest {more} more {times}, each with a --benchmark-json of its own, "
    "and give all files",
    "samples": "run it {more} more {times}, each in a fresh process with a file of its own, and "
    "give all files",
}


def gate_pytest_benchmark(
    files: Sequence[Path], budgets: Sequence[Budget], patterns: Sequence[str] = ()
) -> GateResult:
    """Judge the benchmarks whose name `patterns` match, or the only one there is.

    Raises:
        UsageError: a file, a budget or a pattern is wrong; runs are of unlike machines, or copies.
    """
    _require_latency(budgets)
    read = [read_pytest_benchmark(path) for path in files]
    host, warnings = _one_host(read)
    judged = []
    for name in _chosen(read, patterns):
        runs = tuple(Run(where=file.where, samples_s=file.samples_s[name]) for file in read)
        judged.append(_judged(name, runs, budgets, "pytest-benchmark", _host_words(host)))
    return _result("pytest-benchmark", judged, budgets, host, warnings)


def gate_samples(files: Sequence[Path], budgets: Sequence[Budget]) -> GateResult:
    """Judge plain files of latencies, each of them a run of the same thing.

    Raises:
        UsageError: a file or a budget is wrong, or a file is a copy of another.
    """
    _require_latency(budgets)
    runs = tuple(
        Run(where=safe_text(str(path), 200), samples_s=read_latencies(path)) for path in files
    )
    judged = [_judged("samples", runs, budgets, "samples", _UNKNOWN)]
    told = (
        "The files do not say which machine they are of; that it is one machine is taken on word."
    )
    return _result("samples", judged, budgets, None, (told,))


def _require_latency(budgets: Sequence[Budget]) -> None:
    known = ", ".join(m.name for m in METRICS.values() if m.kind is Kind.LATENCY)
    if not budgets:
        raise UsageError(
            f"There is no budget to judge by. Give --budget latency_p95=25ms (known: {known})."
        )
    other = [b.metric for b in budgets if b.definition.kind is not Kind.LATENCY]
    if other:
        raise UsageError(
            f"{', '.join(other)} cannot be judged from timings. Give budgets on: {known}."
        )


def _one_host(files: Sequence[BenchmarkFile]) -> tuple[Host, tuple[str, ...]]:
    first = files[0]
    for file in files[1:]:
        for field in _LIKE:
            one, other = getattr(first.host, field), getattr(file.host, field)
            if one != other:
                raise UsageError(
                    f"{first.where} and {file.where} are of unlike machines, and are not judged "
                    f"together: {field} is {safe_text(str(one), 80)!r} and "
                    f"{safe_text(str(other), 80)!r}."
                )
    whens = [file.when for file in files if file.when]
    if len(set(whens)) < len(whens):
        raise UsageError("Two files were saved at the same instant: one is a copy of the other.")
    names = sorted({file.host.node for file in files if file.host.node})
    if len(names) > 1:
        return first.host, (
            f"The runs are of {len(names)} machines of one kind ({name_list(names)}).",
        )
    return first.host, ()


def _chosen(files: Sequence[BenchmarkFile], patterns: Sequence[str]) -> list[str]:
    """Full names, in the order of the first file; every file must have each of them."""
    names = [name for name in files[0].samples_s if not patterns or _matches(name, patterns)]
    unmatched = [p for p in patterns if not any(_matches(name, (p,)) for name in names)]
    if unmatched:
        raise UsageError(
            f"No benchmark in {files[0].where} is called {name_list(unmatched)}. There are: "
            f"{_names(files[0].samples_s)}."
        )
    if not patterns and len(names) > 1:
        raise UsageError(
            f"{files[0].where} holds {len(names)} benchmarks ({_names(names)}). Say which with "
            "--benchmark NAME; --benchmark '*' judges all of them."
        )
    for file in files[1:]:
        missing = [name for name in names if name not in file.samples_s]
        if missing:
            raise UsageError(f"{file.where} has no benchmark {_names(missing)}.")
    return names


def _names(fullnames: Iterable[str]) -> str:
    """Without their file, so that a name can be copied: two colons are not shown as they are."""
    return name_list([name.rpartition("::")[2] for name in fullnames])


def _matches(fullname: str, patterns: Sequence[str]) -> bool:
    """By the whole name or what stands behind the file's; `[…]` of a parameter is text first."""
    short = fullname.rpartition("::")[2]
    return any(
        pattern in {fullname, short}
        or fnmatchcase(fullname, pattern)
        or fnmatchcase(short, pattern)
        for pattern in patterns
    )


def _judged(
    name: str, runs: Sequence[Run], budgets: Sequence[Budget], tool: str, machine: str
) -> GatedBenchmark:
    _refuse_copies(runs)
    checks = tuple(_check(budget, runs, tool) for budget in budgets)
    outcome = worst([check.outcome for check in checks])
    alone = len(runs) < least_rounds(CONFIDENCE)
    lonely = (
        "Requests of one process are not independent of each other: "
        f"{len(runs)} of at least {least_rounds(CONFIDENCE)} runs are there."
    )
    return GatedBenchmark(
        name=name,
        runs=tuple(
            RunSummary(
                where=run.where,
                requests=len(run.samples_s),
                median_s=median(run.samples_s),
                worst_s=max(run.samples_s),
            )
            for run in runs
        ),
        verdict=Verdict(
            target=machine,
            artifact=name,
            outcome=outcome,
            provisional=False,
            checks=checks,
            reasons=(lonely,) if alone else (),
        ),
    )


def _refuse_copies(runs: Sequence[Run]) -> None:
    seen: dict[tuple[float, ...], str] = {}
    for run in runs:
        if run.samples_s in seen:
            raise UsageError(
                f"{run.where} holds the same figures as {seen[run.samples_s]}: a copy is no second "
                "run. Give a file of another run."
            )
        seen[run.samples_s] = run.where


def _check(budget: Budget, runs: Sequence[Run], tool: str) -> Check:
    check = latency_check(budget, [run.samples_s for run in runs], Evidence.TARGET)
    reason = check.reason.replace(" rounds", " runs")
    more = least_rounds(CONFIDENCE) - len(runs)
    settle = None if check.settle is None else check.settle.replace("rounds", "runs")
    if more > 0:
        again = _AGAIN[tool].format(more=more, times="time" if more == 1 else "times")
        settle = again if check.outcome is Outcome.UNDECIDED else settle
    return msgspec.structs.replace(check, reason=reason, settle=settle)


def _host_words(host: Host) -> str:
    parts = (host.cpu, host.arch, f"{host.cores} CPUs" if host.cores else "")
    return safe_text(", ".join(part for part in parts if part), 120) or _UNKNOWN


def _result(
    tool: str,
    judged: Sequence[GatedBenchmark],
    budgets: Sequence[Budget],
    host: Host | None,
    warnings: tuple[str, ...],
) -> GateResult:
    outcome = worst([one.verdict.outcome for one in judged])
    return GateResult(
        tool=tool,
        host=host,
        budgets=tuple(budgets),
        benchmarks=tuple(judged),
        warnings=(*warnings, BUSY),
        exit_code=int(outcome_code(outcome)),
    )
