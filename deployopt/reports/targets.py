"""Targets for a person: the list, and one in full."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from deployopt.core.target import Hardware, Price, Target
from deployopt.core.text import safe_record, safe_text
from deployopt.reports.layout import FACT_WIDTH, columns, facts, joined, stderr_console, styled
from deployopt.reports.words import budget_words, plural

if TYPE_CHECKING:
    from rich.console import Console


def print_targets(targets: Sequence[Target], console: "Console | None" = None) -> None:
    """One row each: name, device, memory that one process can use, runtime, latency budget."""
    console = console or stderr_console()
    table = columns(("target", 18), ("device", 32), ("memory", 8), ("runs on", 18))
    for target in safe_record(tuple(targets)):
        runtime = f"{target.runtime.provider}, {plural(target.runtime.threads, 'thread')}"
        table.add_row(
            styled(target.name, "bold"),
            styled(safe_text(target.title, 64)),
            styled(str(target.hardware.memory_usable)),
            styled(safe_text(runtime, 40), "dim"),
        )
    console.print(table)
    console.print()
    console.print(styled("One in full: deployopt targets NAME. A path to a TOML works too.", "dim"))


def print_target(target: Target, console: "Console | None" = None) -> None:
    """Hardware, runtime, workload and budgets."""
    console = console or stderr_console()
    target = safe_record(target)
    console.print(styled(safe_text(f"{target.name}: {target.title}", 78), "bold"))
    facts(console, (*_hardware(target.hardware), *_asked(target)))


def _hardware(hardware: Hardware) -> Iterator[tuple[str, str]]:
    yield "CPU", f"{hardware.cpu}, {hardware.arch}, {plural(hardware.cores, 'core')}"
    if hardware.isa:
        yield "ISA", joined(hardware.isa, " ", FACT_WIDTH)
    if hardware.gpu is not None:
        count = f"{hardware.gpu.count} x " if hardware.gpu.count > 1 else ""
        yield "GPU", f"{count}{hardware.gpu.model}, sm {hardware.gpu.compute_capability}"
    yield "Memory", f"{hardware.memory}, of which {hardware.memory_usable} for one process"
    yield "Bandwidth", str(hardware.bandwidth)
    peaks = {name: getattr(hardware.peak, name) for name in hardware.peak.__struct_fields__}
    shown = [f"{name} {rate}" for name, rate in peaks.items() if rate is not None]
    yield "Peak", joined(shown, " · ", FACT_WIDTH)
    if hardware.power is not None:
        idle = f"{hardware.power.idle} idle, " if hardware.power.idle is not None else ""
        yield "Power", f"{idle}{hardware.power.load} under load"
    if hardware.storage is not None:
        yield "Storage", str(hardware.storage)
    if hardware.price is not None:
        yield "Price", _price(hardware.price)


def _price(price: Price) -> str:
    each = "an hour" if price.per == "hour" else "a device"
    return f"{price.amount:g} {price.currency} {each}, {price.as_of}, {price.source}"


def _asked(target: Target) -> Iterator[tuple[str, str]]:
    runtime = target.runtime
    how = f"{runtime.provider}, {plural(runtime.threads, 'thread')}"
    yield "Runtime", f"onnxruntime {runtime.versions}, {how}, opset {runtime.opset_max} at most"
    if "openvino" in runtime.runtimes:
        yield "or", "openvino, where it is installed"
    length = target.workload.length
    tokens = "texts at their real length" if length == "real" else f"texts of {length} tokens"
    yield "Workload", f"{target.workload.words}, {tokens}"
    limits = [budget_words(b.metric, b.limit) for b in target.limits]
    yield "Budgets", joined(limits, " · ", FACT_WIDTH) or "none"
