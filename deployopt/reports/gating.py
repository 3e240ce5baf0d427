"""What `gate` judged: for a terminal, for a pull request, for a CI service."""

from typing import TYPE_CHECKING, Final

import msgspec

from deployopt.core.gating import GatedBenchmark, GateResult
from deployopt.core.text import safe_record
from deployopt.core.units import Dimension
from deployopt.reports.candidates import print_checks
from deployopt.reports.ci_record import CiSummary
from deployopt.reports.ci_summary import verdict_cases
from deployopt.reports.layout import STYLES, facts, heading, stderr_console, styled
from deployopt.reports.markdown import verdict_markdown
from deployopt.reports.markdown_text import escape
from deployopt.reports.words import plural, show, verdict_words

if TYPE_CHECKING:
    from rich.console import Console

_INSIDE: Final = " > "


def print_gate(result: GateResult, console: "Console | None" = None) -> None:
    """The runs, the checks of each benchmark, the verdict last."""
    console = console or stderr_console()
    result = _readable(result)
    console.print(styled(f"Timed by {result.tool}, judged as a measurement of our own", "bold"))
    facts(console, _facts(result))
    for one in result.benchmarks:
        heading(console, one.name)
        console.print(styled(_runs(one), "dim"))
        console.print()
        print_checks(console, one.verdict)
        for reason in one.verdict.reasons:
            console.print(reason)
    word = result.outcome.value
    console.print()
    line = styled(word.upper(), STYLES[word])
    console.print(line.append(f"  {_says(result)}", style="not bold default"))
    console.print()
    console.print(styled(f"exit {result.exit_code}", "dim"))


def gate_markdown(result: GateResult) -> str:
    """A section a benchmark."""
    result = _readable(result)
    lines = []
    for one in result.benchmarks:
        lines += [*verdict_markdown(one.verdict, one.name), "", f"{escape(_runs(one))}.", ""]
    lines += [f"- {name}: {escape(text)}" for name, text in _facts(result)]
    return "\n".join(lines) + "\n"


def gate_summary(result: GateResult) -> CiSummary:
    """A case a benchmark and budget."""
    result = _readable(result)
    many = len(result.benchmarks) > 1
    cases = []
    for one in result.benchmarks:
        for case in verdict_cases(one.verdict):
            title = f"{_short(one)}: {case.title}"
            grouped = msgspec.structs.replace(case, group=_short(one), title=title)
            cases.append(grouped if many else case)
    word = result.outcome.value
    return CiSummary(
        name=result.tool if many else _short(result.benchmarks[0]),
        target=result.benchmarks[0].verdict.target,
        word=word,
        exit_code=result.exit_code,
        says=_says(result),
        cases=tuple(cases),
    )


def _says(result: GateResult) -> str:
    """What the benchmark that decides comes to."""
    return next(
        verdict_words(one.verdict)
        for one in result.benchmarks
        if one.verdict.outcome is result.outcome
    )


def _short(one: GatedBenchmark) -> str:
    return one.name.rpartition(_INSIDE)[2]


def _readable(result: GateResult) -> GateResult:
    """Two colons in a row are a command to a CI service, and are not left in a text."""
    named = tuple(
        msgspec.structs.replace(one, name=one.name.replace("::", _INSIDE))
        for one in result.benchmarks
    )
    return safe_record(msgspec.structs.replace(result, benchmarks=named))


def _facts(result: GateResult) -> list[tuple[str, str]]:
    told = [("Machine", result.benchmarks[0].verdict.target)]
    if result.host is not None and result.host.python:
        told.append(("Python", result.host.python))
    return told + [("Warning", warning) for warning in result.warnings]


def _runs(one: GatedBenchmark) -> str:
    requests = sum(run.requests for run in one.runs)
    medians = [run.median_s for run in one.runs]
    low, high = (show(value, Dimension.TIME) for value in (min(medians), max(medians)))
    spread = f"median {low}" if low == high else f"medians from {low} to {high}"
    return f"{plural(len(one.runs), 'run')}, {plural(requests, 'request')}, {spread}"
