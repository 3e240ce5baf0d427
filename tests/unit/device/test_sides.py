"""Which two can be compared, and what a reader has to know of them."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from deployopt.core.errors import UsageError
from deployopt.core.interface import ArrayInput, ArrayInputs, Interface, Task
from deployopt.core.measurement import Machine
from deployopt.device.bundle_reader import open_bundle
from deployopt.device.sides import Side, notes_of, require_comparable, same_model, side_of

ARRAYS = ArrayInputs(inputs=(ArrayInput(name="x", dtype="float32", shape=("n", 4)),))


@pytest.fixture
def side(make_bundle: Callable[..., Path], machine: Machine) -> Side:
    return side_of(open_bundle(make_bundle()), machine)


def test_a_bundle_as_a_side(side: Side) -> None:
    assert (side.told.name, side.told.target, side.told.outcome) == (
        "demo-here",
        "here",
        "accepted",
    )
    assert set(side.files) == {"model/model.onnx", "tokenizer.json"}
    assert len(side.reference) == 120
    assert len(side.data_digest) == 64
    assert side.told.size_bytes > 1000
    assert not side.synthetic


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"task": Task.IMAGE_CLASSIFICATION}, "the task of the old one is text-classification"),
        ({"labels": ("good", "bad")}, "the labels of the old one are 'bad', 'good'"),
        ({"inputs": ARRAYS}, "the old one takes text inputs and the new one array inputs"),
    ],
)
def test_another_question_is_refused_and_named(
    interface: Interface, change: dict[str, object], part: str
) -> None:
    other = msgspec.structs.replace(interface, **change)
    with pytest.raises(UsageError, match="old and new cannot be compared") as refused:
        require_comparable(("old", interface), ("new", other))
    assert part in str(refused.value)


def test_graphs_must_answer_in_the_same_outputs(interface: Interface) -> None:
    graph = Interface(task=Task.ANY, inputs=ARRAYS, outputs=("y",))
    require_comparable(("old", graph), ("new", graph))
    with pytest.raises(UsageError, match="the old one answers 'y' and the new one 'z'"):
        require_comparable(("a", graph), ("b", msgspec.structs.replace(graph, outputs=("z",))))
    renamed = msgspec.structs.replace(interface, outputs=("scores",))
    require_comparable(("old", interface), ("new", renamed))


def test_the_same_files_opened_alike_are_the_same_model(side: Side) -> None:
    assert same_model(side, side)
    for change in (
        {"files": {**side.files, "tokenizer.json": "0" * 64}},
        {"setup": msgspec.structs.replace(side.setup, threads=7)},
        {"setup": msgspec.structs.replace(side.setup, provider="cuda")},
    ):
        assert not same_model(side, msgspec.structs.replace(side, **change))


def test_what_a_reader_has_to_know(side: Side) -> None:
    assert notes_of(side, side) == (
        "Both are the same model: what differs is the machine's own noise.",
    )
    told = msgspec.structs.replace(side.told, target="rpi4", outcome="provisional")
    other = msgspec.structs.replace(side, told=told, data_digest="0" * 64, files={})
    notes = " ".join(notes_of(other, side))
    assert "The old one was built for rpi4" in notes
    assert "Their gate splits differ: both answered the new one's, 120 examples" in notes
    assert "not accepted but provisional" in notes
