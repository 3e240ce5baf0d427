"""Configure: the same bytes, other session options."""

from pathlib import Path

import msgspec
import pytest

from deployopt.core.artifact import Artifact, Format, SessionOptions
from deployopt.core.errors import StepError
from deployopt.core.interface import ArrayInputs, Interface, Task
from deployopt.core.recipe import StepContext
from deployopt.steps.configure import Configure


def given(folder: Path) -> tuple[Artifact, StepContext]:
    source, workdir = folder / "source", folder / "work"
    source.mkdir()
    workdir.mkdir()
    (source / "model.onnx").write_bytes(b"graph")
    (source / "model.onnx.data").write_bytes(b"weights")
    artifact = Artifact(
        format=Format.ONNX,
        folder=source,
        entry="model.onnx",
        digest="0",
        session=SessionOptions(disabled_optimizers=("A",), config_entries={"x": "1"}),
    )
    interface = Interface(task=Task.ANY, inputs=ArrayInputs(inputs=()), outputs=("y",))
    return artifact, StepContext(workdir=workdir, interface=interface)


def test_files_stay_and_entries_are_added(tmp_path: Path) -> None:
    artifact, context = given(tmp_path)
    step = Configure(entries={"session.intra_op.allow_spinning": "0"})
    step.requires(artifact, context)
    made = step.run(artifact, context)
    assert (made.folder / "model.onnx").read_bytes() == b"graph"
    assert (made.folder / "model.onnx.data").read_bytes() == b"weights"
    assert made.session.config_entries == {"x": "1", "session.intra_op.allow_spinning": "0"}
    assert made.session.disabled_optimizers == ("A",)
    assert "allow_spinning=0" in made.notes[-1]


def test_optimizers_are_replaced(tmp_path: Path) -> None:
    artifact, context = given(tmp_path)
    assert Configure(without=()).run(artifact, context).session.disabled_optimizers == ()


def test_nothing_to_change_is_refused(tmp_path: Path) -> None:
    artifact, context = given(tmp_path)
    with pytest.raises(StepError, match="config entries"):
        Configure().requires(artifact, context)


def test_another_format_is_refused(tmp_path: Path) -> None:
    artifact, context = given(tmp_path)
    other = msgspec.structs.replace(artifact, format=Format.TRANSFORMERS)
    with pytest.raises(StepError):
        Configure(without=()).requires(other, context)
