"""Inputs and outputs as the graph names them."""

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from deployopt.core.errors import RefusedInputError
from deployopt.core.interface import ArrayInput
from deployopt.graph.describing import describe_onnx

Save = Callable[[onnx.ModelProto], Path]


def test_names_types_and_free_dimensions(text_model: onnx.ModelProto, saved: Save) -> None:
    text_model.graph.input[0].type.tensor_type.shape.dim[1].ClearField("dim_param")
    text_model.graph.input.append(onnx.helper.make_tensor_value_info("q.w", 1, [128, 128]))
    found = describe_onnx(saved(text_model))
    assert found.inputs == (
        ArrayInput(name="input_ids", dtype="int64", shape=("batch", "input_ids_1")),
    )
    assert found.outputs == (ArrayInput(name="logits", dtype="float32", shape=("batch", 2)),)
    assert (found.opset, found.nodes, found.functions) == (17, 14, ())


def test_an_input_that_is_no_tensor_is_refused(text_model: onnx.ModelProto, saved: Save) -> None:
    sequence = onnx.helper.make_tensor_sequence_value_info("s", 1, [1])
    text_model.graph.input.append(sequence)
    with pytest.raises(RefusedInputError, match="'s' is not a tensor"):
        describe_onnx(saved(text_model))
