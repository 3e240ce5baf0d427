"""Instructions of single inferences, by kind, counted by a plugin of the emulator.

In: a device, a setup, a few examples. Out: counts, the same whenever the same is asked: one thread,
no time in it. The plugin's C source is compiled here on first use.
"""

import hashlib
from pathlib import Path
from typing import Final

import numpy as np

from deployopt.core.codec import encode_json
from deployopt.core.emulation import InstructionCounts, InstructionKind
from deployopt.core.errors import DeviceError
from deployopt.device.protocol import EvaluateRequest
from deployopt.device.setup import EvaluationSet, Setup
from deployopt.device.supervise import child_environment
from deployopt.remote.emulation.counted import PASSES
from deployopt.remote.emulation.device import EmulatedDevice
from deployopt.remote.emulation.opcodes import count_kinds
from deployopt.remote.emulation.tools import COMPILER, Emulator, find_tools, run_tool
from deployopt.store.digests import sha256_file
from deployopt.store.kept import kept_folder
from deployopt.store.staging import staged_folder
from deployopt.store.writing import write_new_file

_SOURCE: Final = Path(__file__).with_name("counter.c")
_PLUGIN: Final = "counter.so"
_STEADY: Final = 1e-3
_PAIR: Final = 2


def compiled_counter(home: Path, emulator: Emulator) -> Path:
    """The plugin.

    Raises:
        DeviceError: there is no compiler, or it failed.
    """
    source = _SOURCE.read_bytes()
    key = hashlib.sha256(source + f" {emulator.plugin_api}".encode()).hexdigest()[:16]

    def compile_it(folder: Path) -> None:
        (compiler,) = find_tools(COMPILER)
        folder.mkdir()
        run_tool(
            [
                *(compiler, "-std=gnu11", "-O2", "-shared", "-fPIC", "-fvisibility=hidden"),
                *(f"-DAPI={emulator.plugin_api}", "-o", folder / _PLUGIN, _SOURCE),
            ],
            "Compiling the counter (it needs gcc and libc6-dev)",
        )

    return kept_folder(home, f"counter-{key}", compile_it) / _PLUGIN


def count_instructions(
    device: EmulatedDevice,
    plugin: Path,
    request: tuple[Setup, EvaluationSet],
    workdir: Path,
    *,
    timeout_s: float,
) -> InstructionCounts:
    """One answer to each request of the set, after it was answered before.

    Raises:
        DeviceError: the program failed under the emulator, or took longer than `timeout_s`.
    """
    setup, data = request
    with staged_folder(workdir) as folder:
        counts = folder / "counts"
        counts.mkdir()
        asked = EvaluateRequest(setup=setup, data=data, result=folder / "unused")
        write_new_file(folder / "request.json", encode_json(asked))
        words = device.command(
            *("-m", "deployopt.remote.emulation.counted", str(folder / "request.json")),
            plugin=f"{_option(plugin)},to={_option(counts)}",
        )
        run_tool(
            words, "Counting instructions", timeout_s=timeout_s, environment=child_environment()
        )
        return read_counts(counts, sha256_file(data.examples))


def read_counts(folder: Path, examples_sha256: str) -> InstructionCounts:
    """What the plugin wrote: files 1, 2, …, `PASSES` of them a request.

    Raises:
        DeviceError: it wrote nothing, or something else.
    """
    total = dict.fromkeys(InstructionKind, 0)
    steady = True
    requests = len(list(folder.iterdir())) // PASSES
    if not requests:
        raise DeviceError("The emulator's plugin counted nothing.")
    for request in range(1, requests + 1):
        last = _read(folder / str(request * PASSES))
        before = sum(_read(folder / str(request * PASSES - 1)).values())
        steady &= abs(sum(last.values()) - before) <= _STEADY * before
        total = {kind: total[kind] + last[kind] for kind in InstructionKind}
    return InstructionCounts(
        requests=requests, examples_sha256=examples_sha256, by_kind=total, steady=steady
    )


def _read(path: Path) -> dict[InstructionKind, int]:
    pairs = np.fromfile(path, dtype=np.uint64)
    if pairs.size % _PAIR:
        raise DeviceError(f"The emulator's plugin wrote half a pair to {path}.")
    words, times = pairs.reshape(-1, _PAIR).T
    return count_kinds(words, times)


def _option(path: Path) -> str:
    """A path as a value in the emulator's list of options."""
    return str(path).replace(",", ",,")
