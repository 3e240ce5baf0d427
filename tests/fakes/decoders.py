"""A tiny language model for onnxruntime-genai whose logits numpy can work out.

A token's logits follow from itself and from all tokens before it, so that whatever loses a token,
takes one twice or mixes up places gives other numbers. It is made with onnx alone.
"""

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from deployopt.device.setup import Setup

VOCABULARY: Final = 40
CONTEXT: Final = 512
END: Final = 7
_WIDTH: Final = 4
Floats = npt.NDArray[np.float32]


class TinyDecoder:
    """The same arithmetic in numpy."""

    def __init__(self, seed: int = 0, *, poison: int | None = None) -> None:
        lot = np.random.default_rng(seed)
        self.table = lot.normal(0.0, 2.0, (VOCABULARY, VOCABULARY)).astype(np.float32)
        self.features = lot.normal(0.0, 1.0, (VOCABULARY, _WIDTH)).astype(np.float32)
        self.mixing = lot.normal(0.0, 0.3, (_WIDTH, VOCABULARY)).astype(np.float32)
        if poison is not None:
            self.table[poison] = np.nan

    def logits(self, tokens: npt.ArrayLike) -> Floats:
        """`[n, vocabulary]`."""
        ids = np.asarray(tokens, dtype=np.int64).reshape(-1)
        sums = np.cumsum(self.features[ids], axis=0)
        return np.asarray(self.table[ids] + sums @ self.mixing, dtype=np.float32)

    def nll(self, tokens: npt.ArrayLike) -> float:
        """Nats of every token but the first."""
        ids = np.asarray(tokens, dtype=np.int64).reshape(-1)
        rows = self.logits(ids[:-1]).astype(np.float64)
        logs = rows - np.log(np.exp(rows).sum(axis=1, keepdims=True))
        return float(-logs[np.arange(len(ids) - 1), ids[1:]].sum())

    def answer(self, prompt: npt.ArrayLike, count: int, without: int | None = END) -> list[int]:
        """Greedy tokens; `without` is never chosen."""
        text = [int(token) for token in np.asarray(prompt).reshape(-1)]
        start = len(text)
        for _ in range(count):
            row = self.logits(text)[-1].copy()
            if without is not None:
                row[without] = -np.inf
            text.append(int(row.argmax()))
        return text[start:]

    def save(self, folder: Path, **changes: Any) -> Path:
        """The folder as onnxruntime-genai opens it; returns its genai_config.json."""
        folder.mkdir(parents=True, exist_ok=True)
        onnx.save(self._graph(), folder / "model.onnx")
        path = folder / "genai_config.json"
        path.write_text(json.dumps(config() | changes), "utf-8")
        return path

    def _graph(self) -> onnx.ModelProto:
        constants: dict[str, npt.NDArray[Any]] = {
            "table": self.table,
            "features": self.features,
            "mixing": self.mixing,
            "middle": np.array([1], np.int64),
            "time": np.array(1, np.int64),
            "back": np.array([-1], np.int64),
            "end": np.array([2**62], np.int64),
        }
        nodes = [
            helper.make_node("Gather", ["table", "input_ids"], ["own"]),
            helper.make_node("Gather", ["features", "input_ids"], ["new3"]),
            helper.make_node("Unsqueeze", ["new3", "middle"], ["new"]),
            helper.make_node("Concat", ["past_key_values.0.key", "new"], ["present.0.key"], axis=2),
            helper.make_node(
                "Concat", ["past_key_values.0.value", "new"], ["present.0.value"], axis=2
            ),
            helper.make_node("Squeeze", ["present.0.key", "middle"], ["all"]),
            helper.make_node("CumSum", ["all", "time"], ["sums"]),
            helper.make_node("Shape", ["input_ids"], ["n"], start=1, end=2),
            helper.make_node("Mul", ["n", "back"], ["from"]),
            helper.make_node("Slice", ["sums", "from", "end", "middle"], ["last"]),
            helper.make_node("MatMul", ["last", "mixing"], ["mixed"]),
            helper.make_node("Add", ["own", "mixed"], ["logits"]),
        ]
        kinds = ("key", "value")
        inputs = [
            helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["b", "n"]),
            helper.make_tensor_value_info("attention_mask", TensorProto.INT64, ["b", "t"]),
            *(_cache(f"past_key_values.0.{kind}", "p") for kind in kinds),
        ]
        outputs = [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["b", "n", VOCABULARY]),
            *(_cache(f"present.0.{kind}", "t") for kind in kinds),
        ]
        tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
        graph = helper.make_graph(nodes, "tiny", inputs, outputs, tensors)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def _cache(name: str, length: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["b", 1, length, _WIDTH])


def config() -> dict[str, Any]:
    """As the model builder writes it."""
    return {
        "model": {
            "type": "llama",
            "bos_token_id": 1,
            "eos_token_id": END,
            "pad_token_id": END,
            "context_length": CONTEXT,
            "vocab_size": VOCABULARY,
            "decoder": {
                "session_options": {"log_id": "onnxruntime-genai", "provider_options": []},
                "filename": "model.onnx",
                "head_size": _WIDTH,
                "hidden_size": _WIDTH,
                "num_attention_heads": 1,
                "num_hidden_layers": 1,
                "num_key_value_heads": 1,
                "inputs": {
                    "input_ids": "input_ids",
                    "attention_mask": "attention_mask",
                    "past_key_names": "past_key_values.%d.key",
                    "past_value_names": "past_key_values.%d.value",
                },
                "outputs": {
                    "logits": "logits",
                    "present_key_names": "present.%d.key",
                    "present_value_names": "present.%d.value",
                },
            },
        },
        "search": {
            "do_sample": False,
            "max_length": CONTEXT,
            "past_present_share_buffer": False,
            "temperature": 0.7,
            "top_k": 50,
            "repetition_penalty": 1.1,
        },
    }


def setup_for(model: Path, threads: int = 1) -> Setup:
    """How it is opened."""
    return Setup(
        artifact="d" * 64,
        model=model,
        threads=threads,
        runtime="onnxruntime-genai",
        outputs=("logits",),
    )
