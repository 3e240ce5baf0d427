"""The builder in its own process: the same bytes for the same model, and typed failures."""

import json
from pathlib import Path

import pytest

from deployopt.core.errors import StepError
from tests.fakes.chat import write_tiny_llama

pytestmark = [pytest.mark.torch, pytest.mark.slow]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_the_same_model_elsewhere_gives_the_same_bytes(tmp_path: Path) -> None:
    from deployopt.modeling.language.building import Wanted, build_decoder

    found = []
    for at in ("first", "another/place"):
        source = write_tiny_llama(tmp_path / at / "m")
        made = tmp_path / at / "made"
        made.mkdir()
        built = build_decoder(source, made, Wanted(precision="int4", options=("block_size=32",)))
        assert built.peak_bytes > 2**27
        found.append(contents(made))
    assert found[0] == found[1]
    assert {"genai_config.json", "model.onnx", "model.onnx.data", "tokenizer.json",
        "tokenizer_config.json", "chat_template.jinja"} == set(found[0])  # fmt: skip
    assert not [name for name, data in found[0].items() if str(tmp_path).encode() in data]
    config = json.loads(found[0]["genai_config.json"])
    assert config["model"]["context_length"] == 512
    assert config["model"]["decoder"]["filename"] == "model.onnx"


def test_failures_are_told_and_leave_nothing_behind(tmp_path: Path) -> None:
    from deployopt.modeling.language.building import (
        UnknownArchitectureError,
        Wanted,
        build_decoder,
    )

    made = tmp_path / "made"
    made.mkdir()
    strange = write_tiny_llama(tmp_path / "a", architectures=["GPT2LMHeadModel"])
    with pytest.raises(UnknownArchitectureError):
        build_decoder(strange, made, Wanted(precision="fp32"))
    assert not list(made.iterdir())
    angles = {"rope_type": "llama3", "rope_theta": 1e4, "factor": 8.0, "low_freq_factor": 1.0,
        "high_freq_factor": 4.0, "original_max_position_embeddings": 128}  # fmt: skip
    other = write_tiny_llama(
        tmp_path / "c", architectures=["Qwen2ForCausalLM"], rope_parameters=angles
    )
    with pytest.raises(StepError, match="The llama3 RoPE style is not"):
        build_decoder(other, made, Wanted(precision="fp32"))
    assert not list(made.iterdir())
    whole = write_tiny_llama(tmp_path / "b")
    with pytest.raises(StepError, match="took too long"):
        build_decoder(whole, made, Wanted(precision="fp32", timeout_s=0.5))
    assert not list(made.iterdir())
    (whole / "model.safetensors").write_bytes(b"short")
    with pytest.raises(StepError, match="builder of onnxruntime-genai failed"):
        build_decoder(whole, made, Wanted(precision="fp32"))
