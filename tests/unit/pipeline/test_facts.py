"""What a model costs, from its config or its graph; real graphs where one is needed."""

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

from deployopt.core.artifact import Format
from deployopt.core.errors import RefusedInputError
from deployopt.core.interface import (
    ArrayInputs,
    ImageInputs,
    Interface,
    PairInputs,
    Task,
    TextInputs,
)
from deployopt.core.plan import Facts, Operation
from deployopt.core.samples import Feed
from deployopt.core.source import SourceModel
from deployopt.core.workload import Workload
from deployopt.pipeline.facts import (
    is_convolutional,
    request_shapes,
    source_facts,
)
from deployopt.sources.folder import read_folder
from tests.fakes.candidates import source
from tests.fakes.clip_folder import write_clip_folder
from tests.fakes.model_folder import text_config

ASSETS = Path(__file__).parents[2] / "assets"


def taking(inputs: TextInputs | ImageInputs | ArrayInputs | PairInputs, model: SourceModel | None = None) -> SourceModel:  # fmt: skip  # noqa: E501
    model = model or source()
    return msgspec.structs.replace(
        model, interface=msgspec.structs.replace(model.interface, inputs=inputs)
    )


def located(model: SourceModel, folder: Path, entry: str) -> SourceModel:
    artifact = msgspec.structs.replace(model.artifact, folder=folder, entry=entry)
    return msgspec.structs.replace(model, artifact=artifact)


def texts_of(lengths: list[int]) -> list[Feed]:
    return [{"input_ids": np.zeros((1, n), np.int64)} for n in lengths]


def test_a_config_is_counted_for_its_length(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(text_config()))
    model = located(taking(TextInputs(max_length=64)), tmp_path, "config.json")
    short = source_facts(model, Workload(), {"input_ids": (1, 8)})
    long = source_facts(model, Workload(), {"input_ids": (1, 32)})
    assert short is not None
    assert long is not None
    assert (short.length, long.length) == (8, 32)
    assert short.parameters == long.parameters
    assert 4 < macs(long) / macs(short) < 16


def macs(facts: Facts) -> float:
    return sum(o.macs * o.count for o in facts.operations)


def test_a_family_that_is_not_known_is_counted_later(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(text_config(model_type="novelty")))
    assert source_facts(located(source(), tmp_path, "config.json"), Workload(), None) is None


def test_a_broken_config_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(RefusedInputError, match=r"config\.json is not JSON"):
        source_facts(located(source(), tmp_path, "config.json"), Workload(), None)


def test_a_graph_is_counted_with_its_free_sizes_filled_in() -> None:
    pytest.importorskip("onnx")
    model = located(source(form=Format.ONNX), ASSETS, "text.onnx")
    shapes = {"input_ids": (1, 8), "attention_mask": (1, 8)}
    one = source_facts(model, Workload(batch=1), shapes)
    four = source_facts(model, Workload(batch=4), shapes)
    unknown = source_facts(model, Workload(batch=1), None)
    assert one is not None
    assert four is not None
    assert unknown is not None
    assert one.parameters == four.parameters == unknown.parameters > 0
    assert macs(four) == 4 * macs(one) >= 4 * macs(unknown) > 0
    assert "input_ids [1, 8]" in one.basis
    assert "input_ids" not in unknown.basis


def test_the_shapes_are_those_at_the_budgets_quantile() -> None:
    model = taking(TextInputs(max_length=64))
    feeds = texts_of([5, 40, 10, 20, 30])
    assert request_shapes(feeds, model, Workload(), 0.5) == {"input_ids": (1, 20)}
    assert request_shapes(feeds, model, Workload(), 0.95) == {"input_ids": (1, 40)}
    assert request_shapes(feeds, model, Workload(), 0.0) == {"input_ids": (1, 5)}
    assert request_shapes([], model, Workload(), 0.5) is None


def test_a_workload_may_fix_the_length_of_texts() -> None:
    fixed = Workload(length=128)
    texts = taking(TextInputs(max_length=128))
    assert request_shapes(texts_of([5, 9]), texts, fixed, 0.5) == {"input_ids": (1, 128)}
    assert request_shapes(texts_of([5]), source(), fixed, 0.5) == {"input_ids": (1, 5)}


def facts(**shares: float) -> Facts:
    return Facts(
        parameters=1,
        weight_bytes=4,
        operations=tuple(
            Operation(kind=kind, macs=macs, weights=1, activations=1)
            for kind, macs in shares.items()
        ),
        peak_activation_bytes=4,
        basis="made up",
    )


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ({"gemm": 10, "conv": 1}, False),
        ({"gemm": 1, "conv3x3": 5, "depthwise": 5}, True),
        ({"gemm": 5, "conv": 5}, False),
    ],
)
def test_a_net_is_what_most_of_its_work_is(shares: dict[str, float], expected: bool) -> None:  # noqa: FBT001
    assert is_convolutional(source(), facts(**shares)) is expected


def test_an_image_model_of_no_known_form_is_taken_for_a_convolution_net() -> None:
    assert is_convolutional(taking(ImageInputs(input_name="x", height=8, width=8)), None)
    assert not is_convolutional(taking(TextInputs(max_length=8)), None)


def test_a_fixed_length_is_of_the_texts_of_pairs_alone() -> None:
    inputs = PairInputs(
        image=ImageInputs(input_name="pixel_values", height=8, width=8),
        text=TextInputs(max_length=77),
    )
    pairs = taking(inputs)
    feed: Feed = {"pixel_values": np.zeros((1, 3, 8, 8), np.float32), **texts_of([5])[0]}
    found = request_shapes([feed], pairs, Workload(length=12), 0.5)
    assert found == {"pixel_values": (1, 3, 8, 8), "input_ids": (1, 12)}


def test_fixed_labels_cost_the_image_tower_alone(tmp_path: Path) -> None:
    folder = write_clip_folder(tmp_path / "clip")
    interface = read_folder(folder).interface
    assert isinstance(interface.inputs, PairInputs)
    both = located(msgspec.structs.replace(source(), interface=interface), folder, "config.json")
    chosen = Interface(
        task=Task.ZERO_SHOT,
        inputs=interface.inputs.image,
        outputs=("logits",),
        labels=("cat", "dog"),
    )
    whole = source_facts(both, Workload(), {"input_ids": (1, 8)})
    half = source_facts(msgspec.structs.replace(both, interface=chosen), Workload(), None)
    assert whole is not None
    assert half is not None
    assert half.parameters < whole.parameters
    assert whole.length == 8
    assert half.length is None
