"""Dynamic int8: near the float answers, in the form ONNX Runtime fuses, and small."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from deployopt.core.samples import Array
from deployopt.graph.quantize_dynamic import DynamicOptions, quantizable, quantize_dynamic
from deployopt.graph.quantize_weights import REDUCED_LIMIT
from deployopt.graph.rewrite_qkv import merge_shared_matmuls

Feeds = list[dict[str, Array]]
Answers = Callable[[onnx.ModelProto, Feeds], list[Array]]


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("reduce_range", [False, True])
@pytest.mark.parametrize("embeddings", [False, True])
def test_answers_stay_near_the_float_ones(
    text_model: onnx.ModelProto,
    texts: Feeds,
    answers: Answers,
    *,
    per_channel: bool,
    reduce_range: bool,
    embeddings: bool,
) -> None:
    before = np.concatenate(answers(text_model, texts))
    options = DynamicOptions(
        per_channel=per_channel, reduce_range=reduce_range, embeddings=embeddings
    )
    names = quantize_dynamic(text_model, options)
    assert set(names) == {"q.dot", "k.dot", "v.dot", "head"} | ({"lookup"} if embeddings else set())
    after = np.concatenate(answers(text_model, texts))
    error = np.abs(after - before).max() / np.abs(before).max()
    assert 0 < error < 0.05


def test_one_input_is_quantized_once_for_all_its_readers(text_model: onnx.ModelProto) -> None:
    quantize_dynamic(text_model, DynamicOptions())
    made = [n for n in text_model.graph.node if n.op_type == "DynamicQuantizeLinear"]
    assert [node.input[0] for node in made] == ["x", "pooled"]


def test_the_runtime_fuses_products_and_biases(text_model: onnx.ModelProto, tmp_path: Path) -> None:
    merge_shared_matmuls(text_model)
    quantize_dynamic(text_model, DynamicOptions())
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "fused.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(
        text_model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    fused = Counter(node.op_type for node in onnx.load(tmp_path / "fused.onnx").graph.node)
    assert fused["DynamicQuantizeMatMul"] == 2
    assert fused["Add"] == fused["MatMulInteger"] == fused["DynamicQuantizeLinear"] == 0


def test_the_file_shrinks_to_less_than_a_third_and_a_half(text_model: onnx.ModelProto) -> None:
    before = text_model.ByteSize()
    quantize_dynamic(text_model, DynamicOptions())
    assert text_model.ByteSize() < before / 3.5


def test_excluded_nodes_stay_float(text_model: onnx.ModelProto) -> None:
    options = DynamicOptions(exclude=("head", "[qk].*"))
    assert quantizable(text_model, options) == ("lookup", "v.dot")
    assert quantize_dynamic(text_model, options) == ("lookup", "v.dot")
    assert {"head", "q.dot", "k.dot"} <= {
        node.name for node in text_model.graph.node if node.op_type in {"MatMul", "Gemm"}
    }


def test_small_weights_stay_float(text_model: onnx.ModelProto) -> None:
    quantize_dynamic(text_model, DynamicOptions())
    assert "last.w" in {tensor.name for tensor in text_model.graph.initializer}


def test_reduced_range_weights_have_seven_bits(text_model: onnx.ModelProto) -> None:
    quantize_dynamic(text_model, DynamicOptions(reduce_range=True, embeddings=False))
    arrays = [
        onnx.numpy_helper.to_array(tensor)
        for tensor in text_model.graph.initializer
        if tensor.data_type == onnx.TensorProto.INT8 and tensor.name.endswith((".s8", ".s8t"))
    ]
    assert len(arrays) == 4
    assert all(np.abs(array.astype(int)).max() == REDUCED_LIMIT for array in arrays)


def test_a_weight_read_in_two_ways_keeps_both(
    text_model: onnx.ModelProto, texts: Feeds, answers: Answers
) -> None:
    """Tied weights: the float one stays for the reader that was not quantized."""
    head = next(node for node in text_model.graph.node if node.name == "head")
    head.input[1] = "q.w"
    before = np.concatenate(answers(text_model, texts))
    quantize_dynamic(text_model, DynamicOptions(exclude=("head",)))
    assert "q.w" in {tensor.name for tensor in text_model.graph.initializer}
    after = np.concatenate(answers(text_model, texts))
    assert np.abs(after - before).max() / np.abs(before).max() < 0.05


def test_a_graph_of_nameless_nodes_still_loads(
    text_model: onnx.ModelProto, texts: Feeds, answers: Answers
) -> None:
    """The runtime refuses two nodes of one name, and makers need not name theirs at all."""
    for node in text_model.graph.node:
        node.name = ""
    assert len(quantize_dynamic(text_model, DynamicOptions())) > 2
    assert all(np.isfinite(answer).all() for answer in answers(text_model, texts))
