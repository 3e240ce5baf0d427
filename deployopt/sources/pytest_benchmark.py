"""What pytest-benchmark saved: raw samples a benchmark, and the machine they were timed on.

In: a file of --benchmark-json, or of --benchmark-save with --benchmark-save-data. Out: the samples
by benchmark. Refuses (UsageError) what is no latency of a request: files without raw data, figures
that are means of several calls, CPU time.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.errors import UsageError
from deployopt.core.gating import Host
from deployopt.core.text import safe_text
from deployopt.sources.timing_files import checked_latencies, timing_bytes

_SHOWN: Final = 200
_CPU_CLOCKS: Final = ("process_time", "thread_time")


class BenchmarkFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One run of pytest; `samples_s` is a benchmark's full name to its requests, in order."""

    where: str
    when: str
    host: Host
    samples_s: Mapping[str, tuple[float, ...]]


class _Stats(msgspec.Struct, frozen=True):
    data: tuple[float, ...] | None = None
    iterations: int = 1


class _Benchmark(msgspec.Struct, frozen=True):
    name: str
    fullname: str = ""
    stats: _Stats = _Stats()
    options: dict[str, object] = {}


class _Cpu(msgspec.Struct, frozen=True):
    brand_raw: str | None = None
    arch: str | None = None
    count: int | None = None


class _MachineInfo(msgspec.Struct, frozen=True):
    node: str = ""
    machine: str = ""
    system: str = ""
    release: str = ""
    python_version: str = ""
    python_implementation: str = ""
    processor: str = ""
    cpu: _Cpu | None = None


class _Saved(msgspec.Struct, frozen=True):
    """Other fields are the tool's own."""

    benchmarks: tuple[_Benchmark, ...]
    machine_info: _MachineInfo
    datetime: str = ""


def read_pytest_benchmark(path: Path) -> BenchmarkFile:
    """One file; not yet said which benchmarks are meant, so what is wrong with one comes later.

    Raises:
        UsageError: it cannot be read, or is not a file that pytest-benchmark saved.
    """
    shown = safe_text(str(path), _SHOWN)
    data = timing_bytes(path)
    try:
        saved = msgspec.json.decode(data, type=_Saved)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(
            f"{shown} is not a file that pytest-benchmark saved: {safe_text(str(error), _SHOWN)}."
        ) from error
    samples: dict[str, tuple[float, ...]] = {}
    for one in saved.benchmarks:
        name = one.fullname or one.name
        if name in samples:
            raise UsageError(f"{shown} has the benchmark {safe_text(name, _SHOWN)!r} twice.")
        samples[name] = _requests(one, f"{shown}, {safe_text(name, _SHOWN)}")
    if not samples:
        raise UsageError(f"{shown} holds no benchmark.")
    return BenchmarkFile(
        where=shown, when=saved.datetime, host=_host(saved.machine_info), samples_s=samples
    )


def _requests(benchmark: _Benchmark, where: str) -> tuple[float, ...]:
    if benchmark.stats.data is None:
        raise UsageError(
            f"{where}: the raw figures are missing, and a summary cannot be judged. Save them with "
            "--benchmark-json=FILE, or with --benchmark-save-data beside --benchmark-save."
        )
    if benchmark.stats.iterations != 1:
        raise UsageError(
            f"{where}: each figure is the mean of {benchmark.stats.iterations} calls, and a "
            "quantile of means is not one of requests. Time single calls, with "
            "benchmark.pedantic(call, rounds=…, iterations=1)."
        )
    timer = str(benchmark.options.get("timer", ""))
    if any(clock in timer for clock in _CPU_CLOCKS):
        raise UsageError(
            f"{where}: it was timed with {safe_text(timer, 40)}, which is CPU time, not latency. "
            "Leave --benchmark-timer as it is."
        )
    return checked_latencies(benchmark.stats.data, where)


def _host(info: _MachineInfo) -> Host:
    cpu = info.cpu or _Cpu()
    return Host(
        cpu=cpu.brand_raw or info.processor,
        arch=info.machine or cpu.arch or "",
        cores=cpu.count or 0,
        system=info.system,
        kernel=info.release,
        python=f"{info.python_implementation} {info.python_version}".strip(),
        node=info.node,
    )
