"""The unpacked Debian, and one view of it a processor."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from deployopt.core.errors import DeviceError
from deployopt.remote.emulation import system
from deployopt.remote.emulation.processors import PROCESSORS


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str | Path]]:
    """What would have been run; an empty Debian comes of it."""
    words: list[Sequence[str | Path]] = []

    def run(command: Sequence[str | Path], _doing: str) -> str:
        words.append(command)
        python = Path(command[-1]) / system.PYTHON_PATH
        python.parent.mkdir(parents=True)
        python.write_text("")
        return ""

    monkeypatch.setattr(system, "run_tool", run)
    monkeypatch.setattr(system, "find_tools", lambda *names: names)
    return words


def test_both_processors_share_a_system(tmp_path: Path, asked: list[Sequence[str | Path]]) -> None:
    roots = [system.processor_root(tmp_path, processor) for processor in PROCESSORS]
    assert len(asked) == 1
    assert asked[0][0] == "mmdebstrap"
    assert "--architectures=arm64" in asked[0]
    for root, processor in zip(roots, PROCESSORS, strict=True):
        assert (root / system.PYTHON_PATH).is_file()
        assert processor.part in (root / "proc/cpuinfo").read_text()
        assert (root / "sys/devices/system/cpu/present").read_text() == "0-3\n"
        assert not (root / "usr").readlink().is_absolute()
    assert roots[0] != roots[1]


def test_a_system_without_python_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(words: Sequence[str | Path], _doing: str) -> str:
        Path(words[-1]).mkdir()
        return ""

    monkeypatch.setattr(system, "run_tool", run)
    monkeypatch.setattr(system, "find_tools", lambda *names: names)
    with pytest.raises(DeviceError, match=r"without usr/bin/python3.11"):
        system.debian_root(tmp_path)
    assert list(tmp_path.iterdir()) == []
