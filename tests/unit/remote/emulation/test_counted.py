"""What is started to be counted answers every request several times, a line before and after."""

import ctypes
from pathlib import Path

import pytest

from deployopt.core.codec import encode_json
from deployopt.core.errors import DeviceError
from deployopt.core.examples import Examples, encode_examples
from deployopt.core.interface import Interface, Task, TextInputs
from deployopt.device.protocol import EvaluateRequest, TimeRequest
from deployopt.device.setup import EvaluationSet, Setup
from deployopt.remote.emulation import counted

ASSETS = Path(__file__).parents[3] / "assets"
SETUP = Setup(artifact="a" * 64, model=ASSETS / "text.onnx", threads=1, outputs=("logits",))


def test_lines_are_drawn_around_every_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []

    class Library:
        @staticmethod
        def prctl(kind: int, number: int) -> int:
            assert kind == 0x646F7631
            drawn.append(number)
            return -1

    monkeypatch.setattr(ctypes, "CDLL", lambda _: Library)
    suffix, data = encode_examples(Examples(inputs=["a good film", "dull"], labels=None))
    (tmp_path / f"two{suffix}").write_bytes(data)
    interface = Interface(
        task=Task.TEXT_CLASSIFICATION, inputs=TextInputs(max_length=16), outputs=("logits",)
    )
    shown = EvaluationSet(interface=interface, folder=ASSETS, examples=tmp_path / f"two{suffix}")
    request = EvaluateRequest(setup=SETUP, data=shown, result=tmp_path / "unused")
    path = tmp_path / "request.json"
    path.write_bytes(encode_json(request))
    counted.main(path)
    assert drawn == [0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6]


def test_other_requests_are_refused(tmp_path: Path) -> None:
    request = TimeRequest(setup=SETUP, feeds=tmp_path, expected=None, requests=1, min_s=0, seed=0)
    path = tmp_path / "request.json"
    path.write_bytes(encode_json(request))
    with pytest.raises(DeviceError, match="does not ask for an evaluation"):
        counted.main(path)
