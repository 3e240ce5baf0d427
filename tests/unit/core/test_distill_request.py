"""What distill is asked: contradictions, and nothing to do."""

from pathlib import Path
from typing import Any

import pytest

from deployopt.core.distill_request import DistillRequest
from deployopt.core.errors import UsageError


def request(**options: Any) -> DistillRequest:
    return DistillRequest(teacher="t", output=Path("out"), **options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "Nothing says how the student differs"),
        ({"layers": 2, "keep": (0, 1)}, "Give one of them"),
        ({"layers": 0}, "at least one layer"),
        ({"ffn": 0.0}, "--ffn 0: the share"),
        ({"ffn": 1.5}, r"--ffn 1\.5"),
        ({"heads": -0.5}, "--heads -0.5"),
        ({"layers": 2, "epochs": 0}, "Epochs and batch are 1 or more"),
        ({"layers": 2, "learning_rate": 0.0}, "above zero"),
        ({"layers": 2, "learning_rate": float("nan")}, "above zero"),
        ({"layers": 2, "time_limit_s": -1.0}, "above zero"),
        ({"layers": 2, "label_weight": float("nan")}, "weights zero or more"),
        ({"layers": 2, "hidden_weight": -1.0}, "weights zero or more"),
    ],
)
def test_what_cannot_be_asked(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        request(**options).check()


@pytest.mark.parametrize(
    ("options", "cuts"),
    [
        ({"layers": 3}, True),
        ({"keep": (0, 2)}, True),
        ({"ffn": 0.5}, True),
        ({"heads": 0.5}, True),
        ({"student": "small"}, False),
        ({"student": "small", "ffn": 0.5}, True),
    ],
)
def test_what_can(options: dict[str, Any], *, cuts: bool) -> None:
    asked = request(**options)
    asked.check()
    assert asked.cuts is cuts


def test_a_model_is_not_replaced_by_its_own_student(tmp_path: Path) -> None:
    asked = DistillRequest(layers=2, output=tmp_path, teacher=str(tmp_path))
    named = DistillRequest(output=tmp_path, teacher="t", student=str(tmp_path / "."))
    for one in (asked, named):
        with pytest.raises(UsageError, match="would be replaced"):
            one.check()
    DistillRequest(layers=2, output=tmp_path / "student", teacher=str(tmp_path)).check()
