"""What distilling refuses before torch is imported."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from deployopt.core.artifact import Artifact, Format
from deployopt.core.errors import StepError
from deployopt.core.recipe import Lesson, StepContext
from deployopt.steps import needs
from deployopt.steps.distil import Distil

Contexts = Callable[[], StepContext]


@pytest.fixture
def source(float_graph: Artifact, monkeypatch: pytest.MonkeyPatch) -> Artifact:
    monkeypatch.setattr(needs, "find_spec", lambda name: name)
    return msgspec.structs.replace(float_graph, format=Format.TRANSFORMERS)


@pytest.fixture
def taught(context: Contexts, tmp_path: Path) -> StepContext:
    for name in ("train.npz", "validation.npz"):
        (tmp_path / name).write_bytes(b"")
    lesson = Lesson(
        teacher=tmp_path,
        train=tmp_path / "train.npz",
        validation=tmp_path / "validation.npz",
        digest="d",
    )
    return msgspec.structs.replace(context(), lesson=lesson)


def test_what_it_can_teach(source: Artifact, taught: StepContext) -> None:
    Distil().requires(source, taught)
    Distil(time_limit_s=60.0, hidden_weight=0.0, label_weight=1.0).requires(source, taught)


def test_without_a_teacher_or_its_texts(
    source: Artifact, taught: StepContext, context: Contexts
) -> None:
    with pytest.raises(StepError, match="needs a teacher and texts"):
        Distil().requires(source, context())
    assert taught.lesson is not None
    taught.lesson.train.unlink()
    with pytest.raises(StepError, match=r"train\.npz, which is not there"):
        Distil().requires(source, taught)


@pytest.mark.parametrize(
    "options",
    [
        {"epochs": 0},
        {"batch": 0},
        {"patience": 0},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"temperature": -1.0},
        {"time_limit_s": -1.0},
        {"hidden_weight": -0.1},
        {"label_weight": float("nan")},
    ],
)
def test_numbers_that_teach_nothing(
    options: dict[str, Any], source: Artifact, taught: StepContext
) -> None:
    with pytest.raises(StepError, match="Distil takes at least one epoch"):
        Distil(**options).requires(source, taught)


def test_a_graph_cannot_be_taught(float_graph: Artifact, taught: StepContext) -> None:
    with pytest.raises(StepError, match="transformers form"):
        Distil().requires(float_graph, taught)
