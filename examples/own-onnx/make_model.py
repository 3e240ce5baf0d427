"""Train a small classifier on made-up vibration spectra; write the model and labelled data.

Stands for a training script: machine.onnx, machine.interface.json and machine.npz are what
deployopt needs of one.
"""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LABELS = ("sound", "unbalanced", "misaligned", "worn bearing")
# Strength of the lines at 1, 2 and 7.3 times the shaft's speed, for each condition.
LINES = {40: (0.4, 1.6, 0.6, 0.4), 80: (0.3, 0.3, 1.4, 0.3), 292: (0.1, 0.1, 0.1, 0.7)}
BINS, HIDDEN, SEED = 512, 1024, 7
HERE = Path(__file__).parent


def spectra(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Spectra `[count, BINS]` over the shaft's speed, and their conditions `[count]`."""
    labels = rng.integers(0, len(LABELS), count)
    found = rng.gamma(2.0, 0.35, (count, BINS))
    for place, strengths in LINES.items():
        strength = np.asarray(strengths)[labels, None] * rng.uniform(0.3, 1.7, (count, 1))
        near = np.exp(-(((np.arange(BINS) - place - rng.normal(0, 2, (count, 1))) / 3) ** 2))
        found += 3 * strength * near
    return np.log1p(found).astype(np.float32), labels


def train(x: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Weights and biases of three layers: cross-entropy, momentum, batches of 64, three epochs."""
    sizes = ((BINS, HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, len(LABELS)))
    layers: list[np.ndarray] = [
        rng.normal(0, np.sqrt(2 / a), (a, b)).astype(np.float32) for a, b in sizes
    ]
    layers += [np.zeros(b, np.float32) for _, b in sizes]
    speed = [np.zeros_like(layer) for layer in layers]
    order = np.concatenate([rng.permutation(len(x)) for _ in range(3)])
    for batch in np.split(order, len(order) // 64):
        for i, slope in enumerate(slopes(layers, x[batch], labels[batch])):
            speed[i] = 0.9 * speed[i] - 0.01 * slope
            layers[i] += speed[i]
    return layers


def slopes(layers: list[np.ndarray], x: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
    """The loss's gradient by each of `layers`."""
    w1, w2, w3, b1, b2, b3 = layers
    one = np.maximum(x @ w1 + b1, 0)
    two = np.maximum(one @ w2 + b2, 0)
    logits = two @ w3 + b3
    shares = np.exp(logits - logits.max(1, keepdims=True))
    d3 = (shares / shares.sum(1, keepdims=True) - np.eye(len(LABELS))[labels]) / len(x)
    d3 = d3.astype(np.float32)
    d2 = (d3 @ w3.T) * (two > 0)
    d1 = (d2 @ w2.T) * (one > 0)
    return [x.T @ d1, one.T @ d2, two.T @ d3, d1.sum(0), d2.sum(0), d3.sum(0)]


def write_onnx(layers: list[np.ndarray], path: Path) -> None:
    """Three Gemm layers, the batch free."""
    names = ["w1", "w2", "w3", "b1", "b2", "b3"]
    nodes = [
        helper.make_node("Gemm", ["spectrum", "w1", "b1"], ["sum1"]),
        helper.make_node("Relu", ["sum1"], ["hidden1"]),
        helper.make_node("Gemm", ["hidden1", "w2", "b2"], ["sum2"]),
        helper.make_node("Relu", ["sum2"], ["hidden2"]),
        helper.make_node("Gemm", ["hidden2", "w3", "b3"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "machine",
        [helper.make_tensor_value_info("spectrum", TensorProto.FLOAT, ["batch", BINS])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", len(LABELS)])],
        [numpy_helper.from_array(p, n) for p, n in zip(layers, names, strict=True)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def main() -> None:
    """Train, write the three files, say how good the model is on the data it has not seen."""
    rng = np.random.default_rng(SEED)
    x, labels = spectra(2048, rng)
    layers = train(x, labels, rng)
    write_onnx(layers, HERE / "machine.onnx")
    interface = {
        "task": "any",
        "inputs": {
            "type": "arrays",
            "inputs": [{"name": "spectrum", "dtype": "float32", "shape": ["batch", BINS]}],
        },
        "outputs": ["logits"],
        "labels": LABELS,
    }
    (HERE / "machine.interface.json").write_text(json.dumps(interface, indent=2) + "\n")
    x, labels = spectra(5000, rng)
    np.savez(HERE / "machine.npz", spectrum=x, labels=labels)
    w1, w2, w3, b1, b2, b3 = layers
    logits = np.maximum(np.maximum(x @ w1 + b1, 0) @ w2 + b2, 0) @ w3 + b3
    print(f"trained: {(logits.argmax(1) == labels).mean():.1%} right on {len(x)} new spectra")


if __name__ == "__main__":
    main()
