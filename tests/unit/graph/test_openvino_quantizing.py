"""NNCF's int8: what is quantized, how far its weights go, and that nothing is printed."""

from pathlib import Path

import numpy as np
import onnx
import onnx.helper as make
import onnx.numpy_helper
import pytest

from deployopt.core.artifact import Precision
from deployopt.core.errors import StepError
from deployopt.core.samples import Array

pytestmark = pytest.mark.openvino
SIZE = 64
Feeds = list[dict[str, Array]]


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two products with weights, named `one` and `two`, and one of two activations, `both`.

    OpenVINO names the last node after the output.
    """
    random = np.random.default_rng(0)
    weights = [
        onnx.numpy_helper.from_array(random.standard_normal((SIZE, SIZE)).astype(np.float32), n)
        for n in ("a", "b")
    ]
    nodes = [
        make.make_node("MatMul", ["x", "a"], ["p"], name="one"),
        make.make_node("MatMul", ["x", "b"], ["q"], name="two"),
        make.make_node("Transpose", ["q"], ["t"], perm=[0, 2, 1]),
        make.make_node("MatMul", ["p", "t"], ["y"], name="both"),
    ]
    ports = [
        make.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, "n", SIZE]),
        make.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, "n", "n"]),
    ]
    model = make.make_model(
        make.make_graph(nodes, "g", ports[:1], ports[1:], weights),
        opset_imports=[make.make_opsetid("", 17)],
        ir_version=8,
    )
    path = tmp_path_factory.mktemp("graph") / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture(scope="module")
def feeds() -> Feeds:
    random = np.random.default_rng(1)
    return [{"x": random.standard_normal((1, n, SIZE)).astype(np.float32)} for n in (2, 5, 9, 4)]


def quantized(path: Path) -> dict[str, bool]:
    """By product, whether it multiplies integers."""
    from deployopt.graph.openvino_converting import load_openvino
    from deployopt.graph.openvino_precision import is_quantized, multipliers

    model = load_openvino(path)
    return {node.get_friendly_name(): is_quantized(node) for node in multipliers(model)}


def largest_weight(path: Path) -> int:
    """Of those stored in 8 bits."""
    from deployopt.graph.openvino_converting import load_openvino

    nodes = load_openvino(path).get_ordered_ops()
    stored = [n.get_data() for n in nodes if n.get_type_name() == "Constant"]
    return max(int(np.abs(d.astype(np.int32)).max()) for d in stored if d.dtype == np.int8)


@pytest.mark.parametrize(("reduced", "both", "largest"), [(True, False, 64), (False, True, 128)])
def test_seven_bits_for_weights_and_float_for_what_has_none(
    graph: Path, feeds: Feeds, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    reduced: bool, both: bool, largest: int,  # noqa: FBT001 -- columns of the table
) -> None:  # fmt: skip
    from deployopt.graph.openvino_quantizing import OpenvinoOptions, quantize_for_openvino

    options = OpenvinoOptions(transformer=False, reduce_range=reduced)
    found = quantize_for_openvino(graph, tmp_path, feeds, options, lambda *_: None)
    assert quantized(tmp_path / "model.xml") == {"one": True, "two": True, "y": both}
    assert (found.quantized, found.precision) == (2 + both, Precision.INT8)
    assert largest // 2 < largest_weight(tmp_path / "model.xml") <= largest
    assert capsys.readouterr() == ("", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.bin", "model.xml"]


def test_what_is_excluded_stays_float_and_the_bytes_are_the_same_again(
    graph: Path, feeds: Feeds, tmp_path: Path
) -> None:
    from deployopt.graph.openvino_quantizing import OpenvinoOptions, quantize_for_openvino

    options = OpenvinoOptions(transformer=False, reduce_range=True, exclude=("tw*",))
    made = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        found = quantize_for_openvino(graph, tmp_path / name, feeds, options, lambda *_: None)
        made.append([p.read_bytes() for p in sorted((tmp_path / name).iterdir())])
    assert quantized(tmp_path / "one/model.xml") == {"one": True, "two": False, "y": False}
    assert found.precision is Precision.MIXED
    assert made[0] == made[1]


def test_the_name_in_the_onnx_graph_counts(graph: Path, feeds: Feeds, tmp_path: Path) -> None:
    from deployopt.graph.openvino_quantizing import OpenvinoOptions, quantize_for_openvino

    options = OpenvinoOptions(transformer=False, exclude=("both",))
    quantize_for_openvino(graph, tmp_path, feeds, options, lambda *_: None)
    assert quantized(tmp_path / "model.xml") == {"one": True, "two": True, "y": False}


def test_nothing_to_quantize_or_to_calibrate_with_is_said(
    graph: Path, feeds: Feeds, tmp_path: Path
) -> None:
    from deployopt.graph.openvino_quantizing import OpenvinoOptions, quantize_for_openvino

    everything = OpenvinoOptions(exclude=("*",))
    with pytest.raises(StepError, match="no convolution or matrix product"):
        quantize_for_openvino(graph, tmp_path, feeds, everything, lambda *_: None)
    with pytest.raises(StepError, match="calibrates on real inputs"):
        quantize_for_openvino(graph, tmp_path, [], OpenvinoOptions(), lambda *_: None)


def test_a_convolution_net_says_nearly_the_same(tmp_path: Path) -> None:
    from deployopt.graph.openvino_converting import run_openvino
    from deployopt.graph.openvino_quantizing import OpenvinoOptions, quantize_for_openvino
    from deployopt.graph.running import run_graph

    source = Path(__file__).parents[2] / "assets" / "image.onnx"
    random = np.random.default_rng(2)
    pixels = [{"pixels": random.random((1, 3, 16, 16), dtype=np.float32)} for _ in range(8)]
    options = OpenvinoOptions(transformer=False, reduce_range=True)
    found = quantize_for_openvino(source, tmp_path, pixels, options, lambda *_: None)
    assert found.quantized == 2
    whole = np.concatenate([out[0] for out in run_graph(source, pixels, 1)])
    small = np.concatenate([out[0] for out in run_openvino(tmp_path / "model.xml", pixels, 1)])
    error = np.abs(whole - small).max() / np.abs(whole).max()
    assert 0 < error < 0.05
