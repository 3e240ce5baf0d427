"""Counting a graph's nodes without the onnx package."""

from pathlib import Path

import pytest

from deployopt.core.errors import RefusedInputError
from deployopt.device.onnx_operators import count_operators


def test_every_node_is_counted(assets: Path) -> None:
    assert count_operators(assets / "text.onnx") == {
        "ReduceSum": 2, "Cast": 1, "Div": 1, "Gather": 1, "MatMul": 1, "Mul": 1, "Unsqueeze": 1,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["chain.onnx", "image.onnx", "log.onnx", "text.onnx"])
def test_as_the_onnx_package_counts(assets: Path, name: str) -> None:
    onnx = pytest.importorskip("onnx")
    nodes = [node.op_type for node in onnx.load(str(assets / name)).graph.node]
    assert count_operators(assets / name) == {op: nodes.count(op) for op in set(nodes)}


def test_other_domains_are_named(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    nodes = [
        onnx.helper.make_node("Gelu", ["x"], ["y"], domain="com.microsoft"),
        onnx.helper.make_node("Add", ["y", "y"], ["z"]),
    ]
    graph = onnx.helper.make_graph(nodes, "g", [], [])
    (tmp_path / "m.onnx").write_bytes(onnx.helper.make_model(graph).SerializeToString())
    assert count_operators(tmp_path / "m.onnx") == {"Add": 1, "com.microsoft.Gelu": 1}


def test_what_is_no_graph_is_refused(tmp_path: Path, assets: Path) -> None:
    whole = (assets / "text.onnx").read_bytes()
    for number, data in enumerate((b"", b"\xff" * 40, whole[:-9], b"\x3a\x7f")):
        path = tmp_path / f"{number}.onnx"
        path.write_bytes(data)
        with pytest.raises(RefusedInputError, match="not an ONNX file"):
            count_operators(path)
    with pytest.raises(RefusedInputError):
        count_operators(tmp_path / "none.onnx")


def test_altered_bytes_never_break_the_reader(tmp_path: Path, assets: Path) -> None:
    whole = bytearray((assets / "text.onnx").read_bytes())
    path = tmp_path / "m.onnx"
    for at in range(0, len(whole), max(1, len(whole) // 300)):
        for value in (0, 0x7F, 0xFF):
            path.write_bytes(bytes(whole[:at]) + bytes([value]) + bytes(whole[at + 1 :]))
            try:
                assert all(count > 0 for count in count_operators(path).values())
            except RefusedInputError:
                continue
