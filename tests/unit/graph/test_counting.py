"""Counts against figures that are known: published nets, and sums done by hand."""

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from deployopt.graph.counting import facts_from_graph
from deployopt.graph.quantize_dynamic import DynamicOptions, quantize_dynamic

LIGHT = Path(onnx.__file__).parent / "backend/test/data/light"
Save = Callable[[onnx.ModelProto], Path]


@pytest.mark.parametrize(
    ("name", "million_macs", "million_parameters"),
    [
        ("resnet50", 4089, 25.6),
        ("vgg19", 19632, 143.7),
        ("bvlc_alexnet", 655, 61.0),
        ("squeezenet", 349, 1.24),
        ("densenet121", 2834, 8.147),
    ],
)
def test_published_nets(name: str, million_macs: float, million_parameters: float) -> None:
    facts = facts_from_graph(LIGHT / f"light_{name}.onnx", {})
    macs = sum(op.macs * op.count for op in facts.operations) / 1e6
    assert macs == pytest.approx(million_macs, rel=0.001)
    assert facts.parameters / 1e6 == pytest.approx(million_parameters, rel=0.01)
    assert "left out" not in facts.basis


def test_a_text_model_by_hand(text_model: onnx.ModelProto, saved: Save) -> None:
    facts = facts_from_graph(saved(text_model), {"batch": 1, "length": 10})
    linear = 3 * 10 * 128 * 128 + 128 * 128 + 128 * 2
    attention = 2 * 10 * 10 * 128
    assert sum(op.macs * op.count for op in facts.operations) == linear + attention
    assert facts.embedding_parameters == 8200 * 128
    assert facts.parameters == 8200 * 128 + 4 * (128 * 128 + 128) + 256
    assert facts.weight_bytes == 4 * facts.parameters
    assert facts.length == 10


def test_length_and_batch_count(text_model: onnx.ModelProto, saved: Save) -> None:
    path = saved(text_model)
    one, two = (facts_from_graph(path, {"batch": b, "length": 10}) for b in (1, 2))
    assert sum(o.macs * o.count for o in two.operations) == 2 * sum(
        o.macs * o.count for o in one.operations
    )
    assert two.peak_activation_bytes > one.peak_activation_bytes


def test_quantizing_changes_bytes_and_no_products(text_model: onnx.ModelProto, saved: Save) -> None:
    sizes = {"batch": 1, "length": 10}
    whole = facts_from_graph(saved(text_model), sizes)
    quantize_dynamic(text_model, DynamicOptions())
    small = facts_from_graph(saved(text_model), sizes)
    assert small.weight_bytes < whole.weight_bytes / 3.5
    kinds = [{o.kind: o.macs for o in f.operations if o.macs} for f in (whole, small)]
    assert kinds[0] == kinds[1]


def test_kinds_of_convolutions(conv_model: onnx.ModelProto, saved: Save) -> None:
    facts = facts_from_graph(saved(conv_model), {"batch": 1})
    macs = {op.kind: op.macs for op in facts.operations if op.macs}
    assert macs == {"conv3x3": 16 * 256 * 27, "depthwise": 16 * 196 * 9, "gemm": 64}


def test_what_runtimes_fold_costs_nothing() -> None:
    """ResNet-50: 16 sums, the ReLUs after them, 2 poolings, a softmax; no batch norm."""
    facts = facts_from_graph(LIGHT / "light_resnet50.onnx", {})
    moving = [op for op in facts.operations if op.kind == "elementwise"]
    assert sum(op.count for op in moving) == 35
    assert sum(op.count for op in facts.operations if op.kind != "elementwise") == 54
