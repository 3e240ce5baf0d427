"""A decoder of one layer as onnxruntime-genai's builder writes it: its attention keeps a cache."""

import json
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import onnx.helper as make
import onnx.numpy_helper

HEADS: Final = 2
CACHED: Final = 1
WIDTH: Final = 16
WORDS: Final = 50
CONTEXT: Final = 64
PAST: Final = ("past_key_values.0.key", "past_key_values.0.value")
PRESENT: Final = ("present.0.key", "present.0.value")
_HIDDEN: Final = HEADS * WIDTH
_MADE: Final = (HEADS + 2 * CACHED) * WIDTH


def write_attending(folder: Path, *, interleaved: bool = False, rotates: bool = True) -> Path:
    """Write the folder, weights beside the graph, and a config and a tokenizer as stand-ins."""
    folder.mkdir(parents=True)
    nodes = [
        make.make_node("Gather", ["words", "input_ids"], ["x"], name="/embed/Gather"),
        make.make_node("MatMul", ["x", "qkv.w"], ["qkv"], name="/qkv/MatMul"),
        make.make_node("ReduceSum", ["attention_mask", "one"], ["counted"], name="/mask/Sum"),
        make.make_node("Sub", ["counted", "one"], ["last"], name="/mask/Sub"),
        make.make_node("Cast", ["last"], ["lengths"], name="/mask/Cast", to=6),
        make.make_node("Shape", ["attention_mask"], ["shape"], name="/mask/Shape"),
        make.make_node("Gather", ["shape", "at"], ["whole"], name="/mask/Gather"),
        make.make_node("Cast", ["whole"], ["total"], name="/mask/Total", to=6),
        make.make_node(
            "GroupQueryAttention",
            ["qkv", "", "", *PAST, "lengths", "total", *(("cos", "sin") if rotates else ("", ""))],
            ["attended", *PRESENT],
            name="/layer/Attention",
            domain="com.microsoft",
            num_heads=HEADS,
            kv_num_heads=CACHED,
            scale=WIDTH**-0.5,
            do_rotary=int(rotates),
            rotary_interleaved=int(interleaved),
        ),
        make.make_node("MatMul", ["attended", "head.w"], ["logits"], name="/head/MatMul"),
    ]
    kept = ["batch", CACHED, "past", "width"]
    grown = ["batch", CACHED, "all", "width"]
    graph = make.make_graph(
        nodes,
        "decoder",
        [
            make.make_tensor_value_info("input_ids", onnx.TensorProto.INT64, ["batch", "new"]),
            make.make_tensor_value_info("attention_mask", onnx.TensorProto.INT64, ["batch", "all"]),
            *(make.make_tensor_value_info(n, onnx.TensorProto.FLOAT, kept) for n in PAST),
        ],
        [
            make.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["batch", "new", WORDS]),
            *(make.make_tensor_value_info(n, onnx.TensorProto.FLOAT, grown) for n in PRESENT),
        ],
        _weights(),
    )
    opsets = [make.make_opsetid("", 17), make.make_opsetid("com.microsoft", 1)]
    model = make.make_model(graph, opset_imports=opsets, ir_version=8)
    onnx.save(
        model, folder / "model.onnx", save_as_external_data=True, location="model.onnx.data",
        size_threshold=1024,
    )  # fmt: skip
    (folder / "genai_config.json").write_text(
        json.dumps({"model": {"type": "llama", "decoder": {"head_size": WIDTH}}})
    )
    (folder / "tokenizer.json").write_text("{}")
    return folder


def _weights() -> list[onnx.TensorProto]:
    random = np.random.default_rng(0)
    angles = np.arange(CONTEXT)[:, None] * 100.0 ** (-np.arange(WIDTH // 2) / (WIDTH // 2))

    def made(name: str, array: np.ndarray) -> onnx.TensorProto:
        return onnx.numpy_helper.from_array(array, name)

    return [
        made("words", random.standard_normal((WORDS, _HIDDEN)).astype(np.float32)),
        made("qkv.w", (random.standard_normal((_HIDDEN, _MADE)) / 4).astype(np.float32)),
        made("head.w", (random.standard_normal((_HIDDEN, WORDS)) / 4).astype(np.float32)),
        made("cos", np.cos(angles).astype(np.float32)),
        made("sin", np.sin(angles).astype(np.float32)),
        made("one", np.array([1], np.int64)),
        made("at", np.array(1, np.int64)),
    ]
