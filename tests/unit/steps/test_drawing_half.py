"""A pipeline in float16: each part by what it is asked while real prompts are drawn."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import onnx
import onnx.helper as make
import onnx.numpy_helper
import pytest

from deployopt.core.artifact import Artifact, Format, Precision
from deployopt.core.drawing import DECODER, GRAPHS, SETTINGS, TEXT_ENCODER, UNET
from deployopt.core.errors import MissingExtraError, StepError
from deployopt.core.recipe import StepContext
from deployopt.core.samples import Feed, encode_samples
from deployopt.device.drawing.noise import normal_noise
from deployopt.steps import drawing_half
from deployopt.steps.drawing_half import HalvePipeline
from deployopt.steps.session import STATIC_SESSION
from tests.fakes.drawing_graphs import DRAWS, INPUTS, write_graphs

SIZE = (INPUTS.channels, INPUTS.height, INPUTS.width)


@pytest.fixture
def source(tmp_path: Path) -> Artifact:
    path = write_graphs(tmp_path / "source")
    return Artifact(
        format=Format.DRAWING, folder=path.parent, entry=SETTINGS, digest="d", notes=("So.",)
    )


@pytest.fixture
def drawn(context: Callable[[], StepContext], tmp_path: Path) -> StepContext:
    ids = np.array([[1, 2, 3]])
    feeds: list[Feed] = [
        {"input_ids": ids, "negative_ids": 0 * ids, "noise": normal_noise(seed, SIZE)[np.newaxis]}
        for seed in (1, 2, 3)
    ]
    samples = tmp_path / "prompts.npz"
    samples.write_bytes(encode_samples(feeds))
    found = msgspec.structs.replace(context(), interface=DRAWS, samples=samples)
    found.workdir.mkdir(exist_ok=True)
    return found


def swell(path: Path, by: float) -> None:
    """The decoder's latents made large, and small again before they are shown."""
    model = onnx.load(path)
    for name, value in (("up", by), ("down", 1 / by)):
        model.graph.initializer.append(
            onnx.numpy_helper.from_array(np.array(value, np.float32), name)
        )
    model.graph.node[0].input[0] = "small"
    model.graph.node.insert(0, make.make_node("Mul", ["large", "down"], ["small"], name="shrink"))
    model.graph.node.insert(0, make.make_node("Mul", ["latents", "up"], ["large"], name="grow"))
    path.write_bytes(model.SerializeToString())


def kinds(path: Path) -> dict[str, int]:
    return {one.name: one.data_type for one in onnx.load(path).graph.initializer}


def test_what_cannot_be_halved(
    source: Artifact, drawn: StepContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StepError, match="takes a model in drawing form"):
        HalvePipeline().requires(msgspec.structs.replace(source, format=Format.ONNX), drawn)
    mixed = msgspec.structs.replace(source, precision=Precision.MIXED)
    with pytest.raises(StepError, match="quantized already"):
        HalvePipeline().requires(mixed, drawn)
    monkeypatch.setattr(drawing_half, "need_packages", lambda *_names: None)
    monkeypatch.setattr(drawing_half, "diffusers_missing", lambda: True)
    with pytest.raises(MissingExtraError, match=r"deployopt\[diffusion\]"):
        HalvePipeline().requires(source, drawn)
    monkeypatch.setattr(drawing_half, "diffusers_missing", lambda: False)
    with pytest.raises(StepError, match="at least one prompt"):
        HalvePipeline(prompts=0).requires(source, drawn)
    with pytest.raises(StepError, match="real inputs"):
        HalvePipeline().requires(source, msgspec.structs.replace(drawn, samples=None))
    HalvePipeline().requires(source, drawn)


@pytest.mark.torch
def test_only_the_part_whose_values_are_large_keeps_float32(
    source: Artifact, drawn: StepContext
) -> None:
    pytest.importorskip("diffusers")
    swell(source.folder / DECODER, 60_000.0)
    told: list[str] = []
    seen = msgspec.structs.replace(drawn, progress=lambda _share, words: told.append(words))
    made = HalvePipeline(prompts=2).run(source, seen)
    assert (made.format, made.entry, made.session) == (Format.DRAWING, SETTINGS, STATIC_SESSION)
    assert {path.name for path in made.folder.iterdir()} == {*GRAPHS, SETTINGS}
    half, whole = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT
    assert kinds(made.folder / TEXT_ENCODER)["table"] == half
    assert kinds(made.folder / UNET)["tenth"] == half
    assert {kinds(made.folder / DECODER)[name] for name in ("up", "down")} == {whole}
    before, whose, text, unet, decoder = made.notes
    assert (before, whose) == ("So.", "float16, by the values of 2 prompts over 20 steps.")
    for name, note in ((TEXT_ENCODER, text), (UNET, unet)):
        assert note.startswith(f"In {name} no value came near the end of float16's range;")
    assert decoder.startswith(f"In {DECODER} 2 of 3 nodes stay float32 ('grow', 'shrink')"), decoder
    assert "drawing 2 prompts" in told
    # Both prompts' steps, each asked with and without the prompt.
    assert f"{UNET}: ranges: 40 of 40" in told
    assert f"{DECODER}: ranges: 2 of 2" in told


@pytest.mark.torch
def test_a_part_that_cannot_be_halved_is_named(
    source: Artifact, drawn: StepContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("diffusers")
    from deployopt.graph import half

    def refuse(*_given: object, **_options: object) -> None:
        raise StepError("it does not run.")

    monkeypatch.setattr(half, "convert_to_half", refuse)
    with pytest.raises(StepError, match=rf"{TEXT_ENCODER}: it does not run"):
        HalvePipeline().run(source, drawn)
