"""Which packages a device would get, and which versions are refused."""

from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import pytest

from deployopt.core.errors import DeviceError, UsageError
from deployopt.core.target import Target
from deployopt.planning.targets import load_target
from deployopt.remote.emulation import installing

Words = Sequence[str | Path]


@pytest.fixture
def target() -> Target:
    return load_target("rpi4")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Words]:
    """What pip was asked; one package of two files comes of it."""
    calls: list[Words] = []

    def run(words: Words, _doing: str) -> str:
        calls.append(words)
        runtime = next(str(word) for word in words if str(word).startswith("onnxruntime"))
        if runtime == f"onnxruntime=={metadata.version('onnxruntime')}" and "+gone" in _GONE:
            raise DeviceError("No matching distribution found for onnxruntime")
        folder = Path(words[list(words).index("--target") + 1])
        info = folder / "small-1.0.dist-info"
        info.mkdir(parents=True)
        (folder / "small.py").write_text("12345")
        (folder / "small.pyc").write_text("not counted")
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: small\nVersion: 1.0\n")
        (info / "RECORD").write_text("small.py,,\nsmall.pyc,,\n../gone,,\n")
        return ""

    monkeypatch.setattr(installing, "run_tool", run)
    _GONE.clear()
    return calls


_GONE: set[str] = set()


def test_the_device_gets_this_version_of_the_runtime(
    tmp_path: Path, target: Target, asked: list[Words]
) -> None:
    found = installing.small_install(tmp_path, target)
    words = [str(word) for word in asked[0]]
    assert f"onnxruntime=={metadata.version('onnxruntime')}" in words
    assert any(word.startswith("tokenizers") for word in words)
    assert not any("extra" in word or word.startswith("torch") for word in words)
    assert "manylinux_2_28_aarch64" in words
    assert (found.versions, found.sizes) == ({"small": "1.0"}, {"small": 5})
    installing.small_install(tmp_path, target)
    assert len(asked) == 1


def test_another_one_of_the_range_where_it_has_no_wheel(
    tmp_path: Path, target: Target, asked: list[Words]
) -> None:
    _GONE.add("+gone")
    installing.small_install(tmp_path, target)
    assert f"onnxruntime{target.runtime.versions}" in asked[1]


def test_one_that_is_asked_for_must_be_allowed(
    tmp_path: Path, target: Target, asked: list[Words]
) -> None:
    installing.small_install(tmp_path, target, "1.22.0")
    assert "onnxruntime==1.22.0" in asked[0]
    for version, part in (("1.21.0", "not one that rpi4 allows"), ("latest", "not a version")):
        with pytest.raises(UsageError, match=part):
            installing.small_install(tmp_path, target, version)


def test_other_failures_are_told(
    tmp_path: Path, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_words: Words, doing: str) -> str:
        raise DeviceError(f"{doing} failed: no route to host")

    monkeypatch.setattr(installing, "run_tool", fail)
    with pytest.raises(DeviceError, match=r"needs the network once.*no route"):
        installing.small_install(tmp_path, target)


def test_an_install_that_nobody_knows(
    tmp_path: Path, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installing, "requirements", tuple)
    with pytest.raises(DeviceError, match="pip install deployopt"):
        installing.small_install(tmp_path, target)
