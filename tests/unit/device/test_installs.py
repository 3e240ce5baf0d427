"""What is installed, from made-up environments and a real import."""

import sys
from pathlib import Path

import pytest

from deployopt.core.diagnosis import Finding, State
from deployopt.core.quiet import RTX_PACKAGE
from deployopt.device import installs
from deployopt.device.installs import EXTRAS, import_failure, look_at_installs

ALL = {name: "2026.4.1" for extra in EXTRAS for name in extra.packages}
ALL |= {"onnxruntime": "1.31.1", RTX_PACKAGE: "1.7.1.116", "tensorrt": "10.14.1"}


def found(
    versions: dict[str, str], programs: tuple[str, ...] = (), failure: str | None = None
) -> dict[str, Finding]:
    findings = look_at_installs(
        lambda names: {name: versions[name] for name in names if name in versions},
        lambda name: f"/usr/bin/{name}" if name in programs else None,
        lambda _: failure,
    )
    return {finding.topic: finding for finding in findings}


def test_everything_is_there() -> None:
    findings = found(ALL, ("ssh", "qemu-aarch64", "mmdebstrap", "gcc"))
    assert {finding.state for finding in findings.values()} == {State.GOOD}
    assert not any(finding.mend for finding in findings.values())


def test_no_runtime_is_broken() -> None:
    finding = found({})["onnxruntime"]
    assert finding.state is State.BROKEN
    assert finding.mend == "pip install onnxruntime"


def test_two_runtimes_are_broken_and_the_mend_ends_with_one() -> None:
    finding = found({"onnxruntime": "1.31.1", "onnxruntime-gpu": "1.31.1"})["onnxruntime"]
    assert finding.state is State.BROKEN
    assert "overwrite" in finding.says
    assert finding.mend.endswith("pip install onnxruntime-gpu")


def test_a_runtime_that_dies_here_is_broken() -> None:
    finding = found({"onnxruntime": "1.21.0"}, failure="its import is killed by SIGILL")
    assert finding["onnxruntime"].state is State.BROKEN
    assert "SIGILL" in finding["onnxruntime"].says
    assert finding["onnxruntime"].mend == "pip install 'onnxruntime!=1.21.0'"


def test_tensorrt_is_told_of_whichever_package_brings_it() -> None:
    assert (
        found({"tensorrt-cu12": "10.9.0"})["tensorrt"].says == "TensorRT 10.9.0: plans, on a card"
    )
    absent = found({})["tensorrt"]
    assert absent.state is State.NOTE
    assert "--runtime tensorrt" in absent.says
    assert "pip install tensorrt-cu13" in absent.mend
    broken = found({"tensorrt": "10.14.1"}, failure="libnvinfer.so.10 is missing")["tensorrt"]
    assert broken.state is State.WARNING
    assert "cannot be used: libnvinfer" in broken.says


def test_what_is_not_installed_says_what_it_would_enable() -> None:
    findings = found({"onnxruntime": "1.31.1"})
    assert findings["build"].state is State.NOTE
    assert findings["build"].mend == "pip install 'deployopt[build]'"
    assert "emulate" in findings["qemu-aarch64"].says
    assert "qemu-user" in findings["qemu-aarch64"].mend


def test_half_an_extra_is_a_warning() -> None:
    half = found({"onnxruntime": "1.31.1", "torch": "2.13.0"})["build"]
    assert half.state is State.WARNING
    assert "transformers" in half.says


def test_an_openvino_that_was_not_tried_is_a_warning() -> None:
    assert found(ALL | {"openvino": "2031.1.0"})["openvino"].state is State.WARNING


def test_a_real_import_in_a_process_of_its_own() -> None:
    assert import_failure("json") is None
    assert "no_such_package" in (import_failure("no_such_package") or "")


@pytest.mark.parametrize("number", ["SIGILL", "SIGSEGV"])
def test_an_import_that_is_killed(
    number: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dying.py").write_text(f"import os, signal; os.kill(os.getpid(), signal.{number})")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert number in (import_failure("dying") or "")
    assert "dying" not in sys.modules


def test_an_import_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hanging.py").write_text("import time; time.sleep(60)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(installs, "_IMPORT_S", 0.5)
    assert "does not end" in (import_failure("hanging") or "")
