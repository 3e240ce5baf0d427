"""An ONNX graph in OpenVINO's form says the same, and the same graph gives the same bytes."""

from pathlib import Path

import numpy as np
import pytest

from deployopt.core.errors import StepError

pytestmark = pytest.mark.openvino
ASSETS = Path(__file__).parents[2] / "assets"
IDS = np.array([[2, 3, 4, 5]], dtype=np.int64)
FEEDS = [{"input_ids": IDS, "attention_mask": np.ones_like(IDS)}]


def test_it_answers_as_onnx_runtime_does_and_keeps_the_names(tmp_path: Path) -> None:
    from deployopt.graph.openvino_converting import (
        convert_to_openvino,
        load_openvino,
        run_openvino,
    )

    difference = convert_to_openvino(ASSETS / "text.onnx", tmp_path, FEEDS, threads=1)
    assert difference is not None
    assert difference < 1e-5
    model = load_openvino(tmp_path / "model.xml")
    assert {frozenset(port.get_names()) for port in model.inputs} == {
        frozenset({"input_ids"}),
        frozenset({"attention_mask"}),
    }
    assert [port.get_names() for port in model.outputs] == [{"logits"}]
    assert run_openvino(tmp_path / "model.xml", FEEDS, 1)[0][0].shape == (1, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.bin", "model.xml"]
    assert str(ASSETS) not in (tmp_path / "model.xml").read_text("utf-8")


def test_the_same_graph_gives_the_same_bytes(tmp_path: Path) -> None:
    from deployopt.graph.openvino_converting import convert_to_openvino

    made = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        convert_to_openvino(ASSETS / "image.onnx", tmp_path / name, [], threads=1)
        made.append([p.read_bytes() for p in sorted((tmp_path / name).iterdir())])
    assert made[0] == made[1]


def test_what_differs_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from deployopt.graph import openvino_converting as module

    wrong = [[np.ones((1, 2), np.float32)]]
    monkeypatch.setattr(module, "run_openvino", lambda *_: wrong)
    with pytest.raises(StepError, match="answers otherwise"):
        module.convert_to_openvino(ASSETS / "text.onnx", tmp_path, FEEDS, threads=1)


def test_a_graph_that_openvino_cannot_read_is_a_step_error(tmp_path: Path) -> None:
    import onnx
    import onnx.helper as make

    from deployopt.graph.openvino_converting import convert_to_openvino

    ports = [make.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [1]) for n in "xy"]
    graph = make.make_graph([make.make_node("Strange", ["x"], ["y"], domain="com.microsoft")], "g",
                            ports[:1], ports[1:])  # fmt: skip
    domains = [make.make_opsetid("", 17), make.make_opsetid("com.microsoft", 1)]
    model = make.make_model(graph, opset_imports=domains, ir_version=8)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(StepError, match=r"OpenVINO cannot read m\.onnx"):
        convert_to_openvino(tmp_path / "m.onnx", tmp_path, [], threads=1)
