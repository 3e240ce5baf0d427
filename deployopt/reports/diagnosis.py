"""What `doctor` found, for a person: the machine, what is installed, what spoils measurements."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from deployopt.core.diagnosis import Diagnosis, Finding, State
from deployopt.core.measurement import Machine
from deployopt.core.text import safe_record
from deployopt.core.units import Dimension, show_quantity
from deployopt.reports.layout import FACT_WIDTH, facts, heading, joined, stderr_console, styled
from deployopt.reports.words import plural

if TYPE_CHECKING:
    from rich.console import Console

_MARKS: Final = {
    State.GOOD: ("✓", "green"),
    State.NOTE: ("·", "dim"),
    State.WARNING: ("!", "bold yellow"),
    State.BROKEN: ("✗", "bold red"),
}
_TOPIC: Final = 13
_SAYS: Final = 62


def print_diagnosis(diagnosis: Diagnosis, console: "Console | None" = None) -> None:
    """The facts, then a line a finding; what can be mended says how under it."""
    console = console or stderr_console()
    diagnosis = safe_record(diagnosis)
    facts(console, _machine(diagnosis.machine, diagnosis.targets))
    heading(console, "Installed")
    _findings(console, diagnosis.installs)
    heading(console, "Measuring")
    _findings(console, diagnosis.conditions)
    console.print()
    console.print(styled(_conclusion(diagnosis)))


def _machine(machine: Machine, targets: Sequence[str]) -> list[tuple[str, str]]:
    cores = plural(machine.cores, "core")
    clock = "" if machine.frequency_max_mhz is None else f", {machine.frequency_max_mhz:.0f} MHz"
    pairs = [
        ("Machine", f"{machine.board or machine.cpu}, {machine.arch}, {cores}{clock}"),
        ("Memory", show_quantity(machine.memory_bytes, Dimension.SIZE)),
        ("ISA", joined(machine.isa, " ", FACT_WIDTH) or "none that matters here"),
        ("Python", f"{machine.python}, Linux {machine.kernel}"),
    ]
    if machine.gpus:
        pairs.append(("GPU", ", ".join(machine.gpus)))
    known = ", ".join(targets) or "none that is shipped; deployopt detect > mine.toml makes one"
    return [*pairs, ("Target", known)]


def _findings(console: "Console", findings: Sequence[Finding]) -> None:
    from rich.table import Table

    grid: Table = Table.grid(padding=(0, 1, 0, 0), pad_edge=False)
    grid.add_column(width=1)
    grid.add_column(width=_TOPIC, overflow="fold")
    grid.add_column(width=_SAYS, overflow="fold")
    for finding in findings:
        mark, style = _MARKS[finding.state]
        grid.add_row(styled(mark, style), styled(finding.topic), styled(finding.says))
        if finding.mend:
            grid.add_row(styled(""), styled(""), styled(f"→ {finding.mend}", "cyan"))
    console.print(grid)


def _conclusion(diagnosis: Diagnosis) -> str:
    found = (*diagnosis.installs, *diagnosis.conditions)
    broken = sum(one.state is State.BROKEN for one in found)
    warned = sum(one.state is State.WARNING for one in found)
    if broken:
        return f"{plural(broken, 'thing')} cannot work; see ✗ above."
    if warned:
        return f"{plural(warned, 'thing')} may spoil measurements; see ! above."
    return "Nothing that spoils measurements was found."
