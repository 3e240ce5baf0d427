"""The counter's source compiles without a warning; what it writes is read."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from deployopt.core.emulation import InstructionKind
from deployopt.core.errors import DeviceError
from deployopt.remote.emulation import counting
from deployopt.remote.emulation.counting import compiled_counter, read_counts
from deployopt.remote.emulation.tools import Emulator

FMLA, LOAD = 0x4E22CC20, 0xF9400420
EMULATOR = Emulator(path="qemu-aarch64", version="7.2.0", release=(7, 2))


def written(folder: Path, *lines: dict[int, int]) -> Path:
    folder.mkdir()
    for number, counts in enumerate(lines, start=1):
        pairs = np.array(list(counts.items()), dtype=np.uint64)
        (folder / str(number)).write_bytes(pairs.tobytes())
    return folder


def test_the_last_pass_of_each_request_counts(tmp_path: Path) -> None:
    first = ({FMLA: 900, LOAD: 5}, {FMLA: 100, LOAD: 5}, {FMLA: 100, LOAD: 5})
    second = ({FMLA: 900}, {FMLA: 30}, {FMLA: 30, LOAD: 0})
    found = read_counts(written(tmp_path / "counts", *first, *second), "e" * 64)
    assert (found.requests, found.steady, found.total) == (2, True, 135)
    assert found.by_kind[InstructionKind.FLOAT_MULTIPLY_ADD] == 130
    assert found.each() == 67.5
    assert found.each(InstructionKind.LOAD) == 2.5


def test_passes_that_differ_are_not_steady(tmp_path: Path) -> None:
    lines = ({FMLA: 1}, {FMLA: 1000}, {FMLA: 1002})
    assert not read_counts(written(tmp_path / "counts", *lines), "e" * 64).steady


def test_a_counter_that_counted_nothing(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="counted nothing"):
        read_counts(written(tmp_path / "counts"), "e" * 64)


def test_half_a_pair_is_refused(tmp_path: Path) -> None:
    folder = written(tmp_path / "counts", {FMLA: 1}, {FMLA: 1}, {FMLA: 1})
    (folder / "3").write_bytes(b"\0" * 24)
    with pytest.raises(DeviceError, match="half a pair"):
        read_counts(folder, "e" * 64)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
@pytest.mark.parametrize("api", [1, 3])
def test_the_source_has_no_warnings(tmp_path: Path, api: int) -> None:
    source = Path(counting.__file__).with_name("counter.c")
    strict = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-std=gnu11", "-fsyntax-only"]
    subprocess.run(["gcc", *strict, f"-DAPI={api}", source], check=True, cwd=tmp_path)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_it_is_compiled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = compiled_counter(tmp_path, EMULATOR)
    assert os.access(plugin, os.R_OK)
    monkeypatch.setenv("PATH", "")
    assert compiled_counter(tmp_path, EMULATOR) == plugin


def test_without_a_compiler_the_packages_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeviceError, match="gcc is not installed"):
        compiled_counter(tmp_path / "home", EMULATOR)
