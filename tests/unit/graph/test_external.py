"""External data: every home of a tensor against every kind of bad path."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx.helper as make
import onnx.numpy_helper
import pytest

from deployopt.core.errors import RefusedInputError
from deployopt.graph.external import external_files
from deployopt.graph.reading import load_onnx, read_graph

BYTES = 4 * 100


def external(location: str, offset: str = "0", length: str = str(BYTES)) -> onnx.TensorProto:
    tensor = onnx.TensorProto(name="w", data_type=onnx.TensorProto.FLOAT, dims=[100])
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        tensor.external_data.add(key=key, value=value)
    return tensor


def in_initializer(model: onnx.ModelProto, tensor: onnx.TensorProto) -> None:
    model.graph.initializer.append(tensor)


def in_attribute(model: onnx.ModelProto, tensor: onnx.TensorProto) -> None:
    model.graph.node.append(make.make_node("Constant", [], ["c"], value=tensor))


def in_branch(model: onnx.ModelProto, tensor: onnx.TensorProto) -> None:
    inner = make.make_graph([make.make_node("Identity", ["w"], ["z"])], "b", [], [], [tensor])
    model.graph.node.append(make.make_node("If", ["y"], ["z"], then_branch=inner))


def in_function(model: onnx.ModelProto, tensor: onnx.TensorProto) -> None:
    node = make.make_node("Constant", [], ["b"], value=tensor)
    model.functions.append(make.make_function("own", "F", [], ["b"], [node], []))


def in_sparse(model: onnx.ModelProto, tensor: onnx.TensorProto) -> None:
    model.graph.sparse_initializer.add().values.CopyFrom(tensor)


def in_training(model: onnx.ModelProto, tensor: onnx.TensorProto) -> None:
    model.training_info.add().algorithm.initializer.append(tensor)


HOMES = [in_initializer, in_attribute, in_branch, in_function, in_sparse, in_training]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model folder with good and bad files in it, and a secret beside it."""
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    numbers = np.arange(100, dtype=np.float32).tobytes()
    (tmp_path / "secret").write_bytes(numbers)
    for name in ("good", "sub/good", "doubled"):
        (folder / name).write_bytes(numbers)
    os.link(folder / "doubled", folder / "hardlink")
    (folder / "symlink").symlink_to(tmp_path / "secret")
    (folder / "outside").symlink_to(tmp_path)
    os.mkfifo(folder / "fifo")
    return folder


def written(folder: Path, tensor: onnx.TensorProto, home: Callable[..., None]) -> Path:
    out = make.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    model = make.make_model(make.make_graph([], "g", [], [out]))
    home(model, tensor)
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


BAD = [
    "../secret", "/etc/passwd", "sub/../good", "./good", "sub//good", "outside/secret", "symlink",
    "hardlink", "fifo", "sub", ".", "", "missing", "a\\b", "c:good", "good\n", "/proc/self/mem",
]  # fmt: skip


@pytest.mark.parametrize("home", HOMES)
@pytest.mark.parametrize("location", BAD)
def test_a_bad_location_is_refused_in_every_home(
    folder: Path, location: str, home: Callable[..., None]
) -> None:
    with pytest.raises(RefusedInputError, match="was not opened"):
        read_graph(written(folder, external(location), home))


@pytest.mark.parametrize("home", HOMES[:4])
@pytest.mark.parametrize("location", ["good", "sub/good"])
def test_a_good_location_is_read(folder: Path, location: str, home: Callable[..., None]) -> None:
    path = written(folder, external(location), home)
    assert external_files(read_graph(path), path) == (location,)
    assert b"\0\0\xc6\x42" in load_onnx(path, trusted=True).SerializeToString()


@pytest.mark.parametrize(
    ("offset", "length"),
    [("4", str(BYTES)), ("0", str(BYTES - 4)), ("-4", str(BYTES)), ("0", "9" * 30), ("x", "4")],
)
def test_bytes_outside_the_file_are_refused(folder: Path, offset: str, length: str) -> None:
    with pytest.raises(RefusedInputError):
        read_graph(written(folder, external("good", offset, length), in_initializer))


def test_unknown_and_repeated_keys_are_refused(folder: Path) -> None:
    for key in ("basepath", "location"):
        tensor = external("good")
        tensor.external_data.add(key=key, value="good")
        with pytest.raises(RefusedInputError, match="repeated or unknown keys"):
            read_graph(written(folder, tensor, in_initializer))


def test_many_tensors_over_the_same_bytes_are_refused(folder: Path) -> None:
    path = written(folder, external("good"), in_initializer)
    model = onnx.ModelProto.FromString(path.read_bytes())
    model.graph.initializer.append(external("good"))
    path.write_bytes(model.SerializeToString())
    with pytest.raises(RefusedInputError, match="claim more bytes"):
        read_graph(path)


def test_the_numbers_arrive(folder: Path) -> None:
    model = load_onnx(written(folder, external("good"), in_initializer), trusted=True)
    array = onnx.numpy_helper.to_array(model.graph.initializer[0])
    assert np.array_equal(array, np.arange(100, dtype=np.float32))
