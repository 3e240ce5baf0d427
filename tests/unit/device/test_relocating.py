"""The paths of a request."""

from pathlib import Path

from deployopt.core.interface import Interface, Task, TextInputs
from deployopt.device.protocol import (
    AnswerRequest,
    EvaluateRequest,
    ScoreRequest,
    SettingRequest,
    TimeRequest,
)
from deployopt.device.relocating import relocated
from deployopt.device.setup import EvaluationSet, Setup

SETUP = Setup(artifact="a" * 64, model=Path("/here/model.onnx"), threads=1)


def _there(path: Path) -> Path:
    return Path("/there") / path.name


def test_every_path_of_a_round() -> None:
    request = TimeRequest(
        setup=SETUP, feeds=Path("/a/f"), expected=Path("/a/e"), requests=1, min_s=0, seed=0
    )
    moved = relocated(request, _there, Path("unused"))
    assert isinstance(moved, TimeRequest)
    assert moved.setup.model == Path("/there/model.onnx")
    assert (moved.feeds, moved.expected) == (Path("/there/f"), Path("/there/e"))
    assert "/here" not in repr(moved)
    assert "/a/" not in repr(moved)


def test_every_path_of_an_accuracy_run() -> None:
    interface = Interface(
        task=Task.TEXT_CLASSIFICATION, inputs=TextInputs(max_length=8), outputs=("logits",)
    )
    data = EvaluationSet(interface=interface, folder=Path("/a/b"), examples=Path("/a/e.jsonl"))
    request = EvaluateRequest(setup=SETUP, data=data, result=Path("/a/r"))
    moved = relocated(request, _there, Path("/there/r"))
    assert "/here" not in repr(moved)
    assert "/a/" not in repr(moved)
    assert isinstance(moved, EvaluateRequest)
    assert (moved.data.folder, moved.result) == (Path("/there/b"), Path("/there/r"))


def test_every_path_of_a_language_model_s_requests() -> None:
    answers = AnswerRequest(
        setup=SETUP, prompts=Path("/a/p"), expected=Path("/a/e"), context=9, tokens=2, requests=1,
        min_s=0, seed=0,
    )  # fmt: skip
    moved = relocated(answers, _there, Path("unused"))
    assert isinstance(moved, AnswerRequest)
    assert (moved.prompts, moved.expected) == (Path("/there/p"), Path("/there/e"))
    scores = ScoreRequest(
        setup=SETUP, documents=Path("/a/d"), asked=Path("/a/p"), chosen=Path("/a/c"),
        timed=Path("/a/t"), choices=Path("/a/q"), context=9, tokens=2, fill=True,
        result=Path("/a/r"),
    )  # fmt: skip
    there = relocated(scores, _there, Path("/there/r"))
    setting = SettingRequest(
        setup=SETUP, prompts=Path("/a/p"), context=9, tokens=2, batch=2, requests=1, seconds=1.0
    )
    for one in (moved, there, relocated(setting, _there, Path("unused"))):
        assert "/here" not in repr(one)
        assert "/a/" not in repr(one)
