"""A decoder for a card becomes one that this machine's CPU is asked in its place."""

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest

from deployopt.core.artifact import Artifact, Format, Precision
from deployopt.core.errors import StepError
from deployopt.core.recipe import StepContext
from deployopt.device.generating.decoder import open_decoder
from deployopt.device.generating.scoring import document_nll
from deployopt.steps.stand_in import StandIn
from tests.fakes.decoders import TinyDecoder, config, setup_for


def for_card(folder: Path) -> Artifact:
    found = config()
    options = found["model"]["decoder"].setdefault("session_options", {})
    options["provider_options"] = [{"cuda": {"enable_cuda_graph": "0"}}]
    TinyDecoder().save(folder, **found)
    (folder / "tokenizer.json").write_text("{}")
    return Artifact(
        format=Format.GENAI,
        folder=folder,
        entry="genai_config.json",
        digest="d",
        precision=Precision.FP16,
        notes=("So.",),
    )


def test_the_same_model_for_this_machine(
    tmp_path: Path, context: Callable[[], StepContext]
) -> None:
    source = for_card(tmp_path / "card")
    before = (source.folder / "genai_config.json").read_bytes()
    made = StandIn().run(source, context())
    assert made.precision is Precision.FP16
    assert made.notes[0] == "So."
    assert (source.folder / "genai_config.json").read_bytes() == before
    told = json.loads(made.path.read_bytes())
    assert told["model"]["decoder"]["session_options"]["provider_options"] == []
    assert (made.folder / "tokenizer.json").read_text() == "{}"
    tokens = np.array([3, 1, 4, 1, 5])
    decoder = open_decoder(setup_for(made.path), stops=False)
    assert document_nll(decoder, tokens) == pytest.approx(TinyDecoder().nll(tokens), rel=1e-4)


def test_weights_of_8_bits_are_float_again(
    tmp_path: Path, context: Callable[[], StepContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    from deployopt.graph import dequantize_blocks as module

    asked = []

    def note(_model: onnx.ModelProto, bits: frozenset[int]) -> tuple[str, ...]:
        asked.append(bits)
        return ("one", "two")

    monkeypatch.setattr(module, "dequantize_blocks", note)
    made = StandIn().run(for_card(tmp_path / "card"), context())
    assert asked == [frozenset({8})]
    assert "2 products" in made.notes[-1]


def test_another_format_is_refused(tmp_path: Path, context: Callable[[], StepContext]) -> None:
    other = msgspec.structs.replace(for_card(tmp_path / "card"), format=Format.ONNX)
    with pytest.raises(StepError, match="genai"):
        StandIn().requires(other, context())
