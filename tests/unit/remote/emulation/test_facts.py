"""What is started in the emulated system says what it found; here it says this machine."""

import pytest

from deployopt.core.codec import decode_json
from deployopt.device.machine import describe_machine
from deployopt.remote.emulation.facts import MODULES, Facts, main


def test_it_prints_one_record(capsys: pytest.CaptureFixture[str]) -> None:
    main()
    found = decode_json(capsys.readouterr().out.encode(), Facts, where="test")
    assert found.imported == MODULES
    assert found.machine.arch == describe_machine(runtime=False).arch
    assert "onnxruntime" in found.machine.packages
