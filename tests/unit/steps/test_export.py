"""What export refuses before torch is imported."""

import subprocess
import sys
from collections.abc import Callable
from typing import Literal

import msgspec
import pytest

from deployopt.core.artifact import Artifact, Format
from deployopt.core.errors import MissingExtraError, StepError
from deployopt.core.interface import ArrayInputs, Interface, Task
from deployopt.core.recipe import StepContext
from deployopt.steps import needs
from deployopt.steps.export import Export

Contexts = Callable[[], StepContext]


@pytest.fixture
def source(float_graph: Artifact, monkeypatch: pytest.MonkeyPatch) -> Artifact:
    monkeypatch.setattr(needs, "find_spec", lambda name: name)
    return msgspec.structs.replace(float_graph, format=Format.TRANSFORMERS)


@pytest.mark.parametrize(
    ("exporter", "opset"),
    [("torchscript", 10), ("torchscript", 21), ("dynamo", 17), ("dynamo", 24)],
)
def test_opsets_that_the_exporter_cannot_write(
    exporter: Literal["torchscript", "dynamo"], opset: int, source: Artifact, context: Contexts
) -> None:
    step = Export(exporter=exporter, opset=opset)
    with pytest.raises(StepError, match=f"writes opsets .* not {step.opset}"):
        step.requires(source, context())


def test_opsets_that_it_can_write(source: Artifact, context: Contexts) -> None:
    for step in (Export(), Export(opset=11), Export(opset=20), Export(exporter="dynamo", opset=18)):
        step.requires(source, context())


def test_an_onnx_file_needs_no_export(float_graph: Artifact, context: Contexts) -> None:
    with pytest.raises(StepError, match="transformers form"):
        Export().requires(float_graph, context())


def test_plain_arrays_cannot_be_traced(source: Artifact, context: Contexts) -> None:
    interface = Interface(task=Task.ANY, inputs=ArrayInputs(inputs=()), outputs=("y",))
    with pytest.raises(StepError, match="give an ONNX file"):
        Export().requires(source, msgspec.structs.replace(context(), interface=interface))


def test_missing_packages_name_the_extra(
    source: Artifact, context: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(needs, "find_spec", lambda name: None if name == "torch" else name)
    with pytest.raises(MissingExtraError, match=r"deployopt\[build\]"):
        Export().requires(source, context())


def test_importing_the_steps_imports_nothing_heavy() -> None:
    code = (
        "import sys, deployopt.steps.table as t; "
        "print(sorted({'torch', 'transformers', 'onnx', 'onnxruntime'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
