"""ONNX files as models: by their own inputs, or by the interface file beside them."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from deployopt.core.artifact import Format
from deployopt.core.errors import RefusedInputError, UsageError
from deployopt.core.examples import decode_examples
from deployopt.core.interface import ArrayInputs, ImageInputs, Task, TextInputs
from deployopt.core.measurement import Split
from deployopt.sources.data import load_dataset
from deployopt.sources.models import resolve_model
from deployopt.store.store import Store
from tests.fakes.model_folder import write_text_model

onnx = pytest.importorskip("onnx")
IMAGE = {"type": "image", "input_name": "x", "height": 4, "width": 4}


@pytest.fixture
def graph(tmp_path: Path) -> Callable[..., Path]:
    """Writes a graph that gives its only input back."""

    def write(name: str = "x", shape: tuple[object, ...] = ("batch", 3, 4, 4)) -> Path:
        kind = onnx.TensorProto.FLOAT
        model = onnx.helper.make_model(
            onnx.helper.make_graph(
                [onnx.helper.make_node("Identity", [name], ["y"])],
                "g",
                [onnx.helper.make_tensor_value_info(name, kind, shape)],
                [onnx.helper.make_tensor_value_info("y", kind, shape)],
            ),
            opset_imports=[onnx.helper.make_opsetid("", 17)],
            ir_version=8,
        )
        path = tmp_path / "model.onnx"
        onnx.save(model, path)
        return path

    return write


def beside(path: Path, **content: object) -> None:
    text = json.dumps({"outputs": ["y"], "labels": ["a", "b"]} | content)
    path.with_name("model.interface.json").write_text(text, encoding="utf-8")


def test_without_an_interface_nothing_is_guessed(graph: Callable[..., Path], store: Store) -> None:
    model = resolve_model(str(graph()), store=store)
    assert model.artifact.format is Format.ONNX
    assert model.artifact.path.is_file()
    assert model.interface.task is Task.ANY
    assert isinstance(model.interface.inputs, ArrayInputs)
    assert model.interface.inputs.inputs[0].shape == ("batch", 3, 4, 4)
    assert model.interface.labels == ()


def test_made_up_data_says_what_it_cannot_certify(graph: Callable[..., Path], store: Store) -> None:
    model = resolve_model(str(graph()), store=store)
    data = load_dataset(None, model=model, store=store)
    assert data.synthetic
    assert not data.labelled
    assert "accuracy is not certified" in data.notes[0]
    gate = decode_examples(data.splits[Split.GATE].path)
    assert gate.labels is None
    first = gate.inputs[0]
    assert not isinstance(first, str)
    assert first["x"].shape == (1, 3, 4, 4)
    assert load_dataset(None, model=model, store=store) == data


def test_own_arrays_are_judged_by_agreement(
    graph: Callable[..., Path], store: Store, tmp_path: Path
) -> None:
    model = resolve_model(str(graph()), store=store)
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "own.npz", x=rng.random((60, 3, 4, 4), dtype=np.float32))
    data = load_dataset(str(tmp_path / "own.npz"), model=model, store=store)
    assert not data.synthetic
    assert not data.labelled
    assert "agreement" in data.notes[0]
    assert sum(split.examples for split in data.splits.values()) == 60


def test_an_image_classifier_is_told_by_its_interface(
    graph: Callable[..., Path], store: Store
) -> None:
    path = graph()
    beside(path, task="image-classification", inputs=IMAGE)
    model = resolve_model(str(path), store=store)
    assert model.interface.task is Task.IMAGE_CLASSIFICATION
    assert isinstance(model.interface.inputs, ImageInputs)
    assert model.interface.labels == ("a", "b")
    assert model.default_data is None
    assert {entry.path for entry in model.origin.files} == {"model.onnx", "model.interface.json"}


def test_a_text_classifier_brings_its_tokenizer(
    graph: Callable[..., Path], store: Store, tmp_path: Path
) -> None:
    path = graph("input_ids", ("batch", "length"))
    inputs = {"type": "text", "max_length": 32, "input_names": ["input_ids"]}
    beside(path, task="text-classification", inputs=inputs)
    with pytest.raises(UsageError, match=r"tokenizer 'tokenizer\.json' is not a file"):
        resolve_model(str(path), store=store)
    folder = write_text_model(tmp_path / "text", tokenizer=True)
    (folder / "tokenizer.json").rename(tmp_path / "tokenizer.json")
    model = resolve_model(str(path), store=store)
    assert isinstance(model.interface.inputs, TextInputs)
    assert (model.artifact.folder / "tokenizer.json").is_file()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ({"task": "image-classification", "inputs": IMAGE | {"hieght": 3}}, "hieght"),
        ({"task": "image-classification", "inputs": IMAGE | {"height": "3"}}, r"inputs\.height"),
        ({"task": "detection", "inputs": IMAGE}, "task"),
        ({"task": "text-classification", "inputs": IMAGE}, "not of the kind"),
        ({"task": "image-classification", "inputs": IMAGE, "labels": []}, "needs its labels"),
        ({"task": "image-classification", "inputs": IMAGE, "labels": ["a", "a"]}, "twice"),
        ({"task": "image-classification", "inputs": IMAGE, "outputs": ["z"]}, "gives y"),
        ({"task": "image-classification", "inputs": IMAGE | {"input_name": "q"}}, "takes x"),
    ],
)
def test_an_interface_that_does_not_fit(
    graph: Callable[..., Path], store: Store, content: dict[str, object], why: str
) -> None:
    path = graph()
    beside(path, **content)
    with pytest.raises(UsageError, match=why):
        resolve_model(str(path), store=store)


def test_a_tokenizer_elsewhere_is_not_read(graph: Callable[..., Path], store: Store) -> None:
    path = graph("input_ids", ("batch", "length"))
    for name in ("../secret.json", "/etc/passwd", ".."):
        inputs = {"type": "text", "max_length": 32, "input_names": ["input_ids"], "tokenizer": name}
        beside(path, task="text-classification", inputs=inputs)
        with pytest.raises(UsageError, match="not a file beside"):
            resolve_model(str(path), store=store)


def test_a_corrupt_file_is_refused(tmp_path: Path, store: Store) -> None:
    (tmp_path / "model.onnx").write_bytes(b"\x08\xff not a model")
    with pytest.raises(RefusedInputError):
        resolve_model(str(tmp_path / "model.onnx"), store=store)
