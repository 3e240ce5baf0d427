"""The least a script can do: import, load, export, quantize, check. What a cold build is held to.

Usage: bare_minimum.py MODEL_FOLDER OUTPUT_FOLDER
"""

import sys
import warnings
from pathlib import Path

warnings.simplefilter("ignore")

import numpy as np  # noqa: E402
import onnx  # noqa: E402
import onnx.helper  # noqa: E402
import onnx.numpy_helper  # noqa: E402
import onnxruntime  # noqa: E402
import torch  # noqa: E402
from transformers.models.distilbert.modeling_distilbert import (  # noqa: E402
    DistilBertForSequenceClassification,
)

NAMES = ["input_ids", "attention_mask"]


class Logits(torch.nn.Module):  # type: ignore[misc] # torch is not followed
    """The model's logits alone."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """One tensor out."""
        return self.model(input_ids=ids, attention_mask=mask).logits


def main() -> None:
    """Export, quantize per channel, compare with torch once."""
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    model = DistilBertForSequenceClassification.from_pretrained(folder, attn_implementation="eager")
    wrapped = Logits(model.eval()).eval()
    ids = torch.randint(5, 1000, (2, 16), generator=torch.Generator().manual_seed(0))
    example = (ids, torch.ones_like(ids))
    axes = {name: {0: "batch", 1: "length"} for name in NAMES}
    with torch.no_grad():
        expected = wrapped(*example).numpy()
        torch.onnx.export(
            wrapped,
            example,
            str(out / "float.onnx"),
            dynamo=False,
            opset_version=17,
            input_names=NAMES,
            output_names=["logits"],
            dynamic_axes={**axes, "logits": {0: "batch"}},
        )
    quantized = quantize(onnx.load(out / "float.onnx"))
    onnx.save(quantized, out / "int8.onnx")
    session = onnxruntime.InferenceSession(out / "int8.onnx")
    feed = dict(zip(NAMES, (value.numpy() for value in example), strict=True))
    difference = np.abs(session.run(None, feed)[0] - expected).max()
    print(f"greatest difference {difference:.4f}")


def quantize(model: onnx.ModelProto) -> onnx.ModelProto:
    """MatMul with constant weights to s8, one scale a column."""
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    make = onnx.helper.make_node
    nodes = []
    for node in model.graph.node:
        if node.op_type != "MatMul" or node.input[1] not in weights:
            nodes.append(node)
            continue
        x, name, y = node.input[0], node.input[1], node.output[0]
        tensor = weights.pop(name)
        array = onnx.numpy_helper.to_array(tensor)
        scale = np.abs(array).max(axis=0) / 127
        integers = np.rint(array / scale).astype(np.int8)
        added = {"q": integers, "s": scale, "z": np.zeros(len(scale), np.int8)}
        model.graph.initializer.remove(tensor)
        for part, value in added.items():
            model.graph.initializer.append(onnx.numpy_helper.from_array(value, f"{name}.{part}"))
        nodes += [
            make("DynamicQuantizeLinear", [x], [f"{y}.x", f"{y}.xs", f"{y}.xz"]),
            make("MatMulInteger", [f"{y}.x", f"{name}.q", f"{y}.xz", f"{name}.z"], [f"{y}.i"]),
            make("Cast", [f"{y}.i"], [f"{y}.f"], to=1),
            make("Mul", [f"{y}.xs", f"{name}.s"], [f"{y}.m"]),
            make("Mul", [f"{y}.f", f"{y}.m"], [y]),
        ]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


if __name__ == "__main__":
    main()
