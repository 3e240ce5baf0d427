"""What opens an artifact, by its format and the target's provider."""

import msgspec
import pytest

from deployopt.core.artifact import Format, runtime_on
from tests.fakes.candidates import source


@pytest.mark.parametrize(
    ("form", "provider", "runtime"),
    [
        (Format.ONNX, "cpu", "onnxruntime"),
        (Format.ONNX, "tensorrt", "onnxruntime"),
        (Format.ONNX, "tensorrt-plan", "tensorrt"),
        (Format.OPENVINO, "cpu", "openvino"),
        (Format.ENGINE, "tensorrt-rtx", "tensorrt-rtx"),
        (Format.TRANSFORMERS, "tensorrt-plan", "onnxruntime"),
    ],
)
def test_a_graph_for_tensorrt_is_opened_by_it(form: Format, provider: str, runtime: str) -> None:
    artifact = msgspec.structs.replace(source().artifact, format=form)
    assert runtime_on(provider, artifact) == runtime
