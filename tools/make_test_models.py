"""Write the tiny ONNX models and the tokenizer in tests/assets.

The tests of the device path run where the package `onnx` is missing, so their models are kept as
files. The same version of `onnx` writes the same bytes.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers

ASSETS = Path(__file__).parents[1] / "tests" / "assets"
WORDS = ["[PAD]", "[UNK]", "a", "an", "and", "bad", "boring", "dull", "film", "fine", "fun", "good"]
WORDS += ["great", "it", "movie", "of", "sad", "the", "warm"]
OPSET, IR = 17, 8
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def _random(name: str, shape: tuple[int, ...], seed: int) -> onnx.TensorProto:
    values = np.random.default_rng(seed).normal(size=shape) / np.sqrt(shape[0])
    return numpy_helper.from_array(values.astype(np.float32), name)


def _model(
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    weights: list[onnx.TensorProto],
    opset: int = OPSET,
) -> bytes:
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, weights)
    stamps = [helper.make_opsetid("", opset)]
    return bytes(helper.make_model(graph, opset_imports=stamps, ir_version=IR).SerializeToString())


def text_model() -> bytes:
    """Mean of word vectors under the mask, then two logits; batch and length may vary."""
    shape = ["batch", "length"]
    return _model(
        [
            helper.make_node("Gather", ["words", "input_ids"], ["vectors"]),
            helper.make_node("Cast", ["attention_mask"], ["mask"], to=FLOAT),
            helper.make_node("Unsqueeze", ["mask", "last"], ["wide"]),
            helper.make_node("Mul", ["vectors", "wide"], ["masked"]),
            helper.make_node("ReduceSum", ["masked", "middle"], ["sum"], keepdims=0),
            helper.make_node("ReduceSum", ["wide", "middle"], ["count"], keepdims=0),
            helper.make_node("Div", ["sum", "count"], ["mean"]),
            helper.make_node("MatMul", ["mean", "head"], ["logits"]),
        ],
        [
            helper.make_tensor_value_info("input_ids", INT64, shape),
            helper.make_tensor_value_info("attention_mask", INT64, shape),
        ],
        [helper.make_tensor_value_info("logits", FLOAT, ["batch", 2])],
        [
            _random("words", (len(WORDS), 8), 1),
            _random("head", (8, 2), 2),
            numpy_helper.from_array(np.array([2]), "last"),
            numpy_helper.from_array(np.array([1]), "middle"),
        ],
    )


def image_model() -> bytes:
    """One convolution and four logits of a 3 x 16 x 16 image."""
    return _model(
        [
            helper.make_node("Conv", ["pixels", "kernel"], ["maps"], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["maps"], ["active"]),
            helper.make_node("GlobalAveragePool", ["active"], ["pooled"]),
            helper.make_node("Flatten", ["pooled"], ["flat"]),
            helper.make_node("MatMul", ["flat", "head"], ["logits"]),
        ],
        [helper.make_tensor_value_info("pixels", FLOAT, ["batch", 3, 16, 16])],
        [helper.make_tensor_value_info("logits", FLOAT, ["batch", 4])],
        [_random("kernel", (6, 3, 3, 3), 3), _random("head", (6, 4), 4)],
    )


def chain_model() -> bytes:
    """Sixty products with one matrix: about a millisecond of work in a few kilobytes."""
    names = ["x", *(f"h{i}" for i in range(59)), "y"]
    nodes = [
        node
        for i in range(60)
        for node in (
            helper.make_node("MatMul", [names[i], "square"], [f"m{i}"]),
            helper.make_node("Tanh", [f"m{i}"], [names[i + 1]]),
        )
    ]
    return _model(
        nodes,
        [helper.make_tensor_value_info("x", FLOAT, ["batch", "rows", 48])],
        [helper.make_tensor_value_info("y", FLOAT, ["batch", "rows", 48])],
        [_random("square", (48, 48), 5)],
    )


def log_model() -> bytes:
    """The logarithm: not a number below zero."""
    return _model(
        [helper.make_node("Log", ["x"], ["y"])],
        [helper.make_tensor_value_info("x", FLOAT, ["batch", 2])],
        [helper.make_tensor_value_info("y", FLOAT, ["batch", 2])],
        [],
    )


def future_model() -> bytes:
    """Stamped with an operator set that no runtime reads yet."""
    return _model(
        [helper.make_node("Identity", ["x"], ["y"])],
        [helper.make_tensor_value_info("x", FLOAT, ["batch", 2])],
        [helper.make_tensor_value_info("y", FLOAT, ["batch", 2])],
        [],
        opset=99,
    )


def tokenizer() -> str:
    """A tokenizer of whole words."""
    unknown = WORDS[1]
    words = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token=unknown))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return str(words.to_str(pretty=True))


def main() -> None:
    """Write every file."""
    ASSETS.mkdir(parents=True, exist_ok=True)
    made = {
        "text": text_model(),
        "image": image_model(),
        "chain": chain_model(),
        "log": log_model(),
        "future": future_model(),
    }
    for name, data in made.items():
        (ASSETS / f"{name}.onnx").write_bytes(data)
    (ASSETS / "tokenizer.json").write_text(tokenizer() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
