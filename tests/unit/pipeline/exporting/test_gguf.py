"""A GGUF file says what the folder says; readers other than ours are asked."""

import json
from pathlib import Path

import numpy as np
import pytest

from deployopt.core.artifact import Precision
from deployopt.core.errors import UsageError
from deployopt.core.exporting import ExportRequest, ExportResult
from deployopt.pipeline.exporting.run import run_export
from deployopt.sources.gguf_header import read_gguf
from tests.fakes.chat import (
    HEADS,
    HIDDEN,
    KV_HEADS,
    TEMPLATE,
    WORDS,
    tiny_weights,
    write_tiny_llama,
)

gguf = pytest.importorskip("gguf")

QWEN2 = {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2"}


def export(tmp_path: Path, model: Path, **asked: object) -> ExportResult:
    return run_export(
        ExportRequest(
            source=str(model),
            form="gguf",
            output=tmp_path / "m.gguf",
            store=tmp_path / "store",
            **asked,  # type: ignore[arg-type]
        )
    )


def tensors(path: Path) -> dict[str, np.ndarray]:
    """As the format's own package reads them, rows first."""
    found = gguf.GGUFReader(path).tensors
    return {t.name: gguf.dequantize(t.data, t.tensor_type) for t in found}


def halves(rows: np.ndarray, heads: int) -> np.ndarray:
    """Llama's rows as they stood before neighbours were made of both halves of a head."""
    return rows.reshape(heads, -1, 2, rows.shape[-1]).swapaxes(1, 2).reshape(rows.shape)


def test_weights_and_words_are_all_there(tmp_path: Path) -> None:
    result = export(tmp_path, write_tiny_llama(tmp_path / "m"), precision=Precision.FP32)
    assert (result.model, result.precision, result.exit_code) == (
        "LlamaForCausalLM", Precision.FP32, 0,
    )  # fmt: skip
    path, own = tmp_path / "m.gguf", tiny_weights()
    found = tensors(path)
    assert len(found) == len(own)
    assert np.array_equal(found["token_embd.weight"], own["model.embed_tokens.weight"])
    at = "model.layers.1"
    assert np.array_equal(found["blk.1.ffn_down.weight"], own[f"{at}.mlp.down_proj.weight"])
    for name, theirs, heads in (("q", "attn_q", HEADS), ("k", "attn_k", KV_HEADS)):
        rows = own[f"{at}.self_attn.{name}_proj.weight"]
        assert np.array_equal(halves(found[f"blk.1.{theirs}.weight"], heads), rows)
    fields = gguf.GGUFReader(path).fields
    said = {name: fields[name].contents() for name in fields}
    words = said["tokenizer.ggml.tokens"]
    assert (len(words), words[1:3]) == (WORDS, ["<|im_start|>", "<|im_end|>"])
    assert said["tokenizer.ggml.token_type"][:4] == [3, 3, 3, 1]
    assert (said["tokenizer.ggml.pre"], said["tokenizer.chat_template"]) == ("gpt-2", TEMPLATE)
    assert said["tokenizer.ggml.eos_token_id"] == 2
    assert said["tokenizer.ggml.add_bos_token"] is False
    assert (said["llama.embedding_length"], said["llama.attention.head_count_kv"]) == (HIDDEN, 2)
    assert said["llama.rope.dimension_count"] == HIDDEN // HEADS


@pytest.mark.parametrize(
    ("precision", "kind", "most"), [(None, "F16", 1e-3), (Precision.INT8, "Q8_0", 6e-3)]
)
def test_fewer_bits(tmp_path: Path, precision: Precision | None, kind: str, most: float) -> None:
    export(tmp_path, write_tiny_llama(tmp_path / "m"), precision=precision)
    assert read_gguf(tmp_path / "m.gguf").main_type == kind
    found, own = tensors(tmp_path / "m.gguf"), tiny_weights()
    up = "model.layers.0.mlp.up_proj"
    for name, theirs in (("output_norm", "model.norm"), ("blk.0.ffn_up", up)):
        assert np.abs(found[f"{name}.weight"] - own[f"{theirs}.weight"]).max() < most


@pytest.mark.torch
@pytest.mark.parametrize("changed", [{}, QWEN2])
def test_transformers_reads_the_same_model_back(tmp_path: Path, changed: dict[str, object]) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = write_tiny_llama(tmp_path / "m", **changed)
    if changed:
        whole = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
        biases = (p for n, p in whole.named_parameters() if n.endswith("bias"))
        with torch.no_grad():
            for at, bias in enumerate(biases):
                bias.copy_(torch.linspace(-0.5, 0.5, bias.numel()).roll(at))
        whole.save_pretrained(model)
    export(tmp_path, model, precision=Precision.FP32)
    said = {"gguf_file": "m.gguf", "local_files_only": True}
    with torch.inference_mode():
        ids = torch.arange(3, 60)[None]
        own = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)(ids).logits
        read = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32, **said)
        assert torch.allclose(read(ids).logits, own, atol=1e-4)
    # Of Qwen2 it knows one way of splitting numbers, which the tiny tokenizer has not.
    text = f"A budget is {'' if changed else 125}<|im_end|> of 你好"
    mine = AutoTokenizer.from_pretrained(model)
    theirs = AutoTokenizer.from_pretrained(tmp_path, **said)
    assert theirs(text).input_ids == mine(text).input_ids


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"architectures": ["MistralForCausalLM"], "model_type": "mistral"}, "MistralForCausalLM"),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, "of the kind llama3"),
        ({"attention_bias": True}, "attention_bias"),
    ],
)
def test_what_is_not_written_names_what_writes_it(
    tmp_path: Path, changed: dict[str, object], said: str
) -> None:
    model = write_tiny_llama(tmp_path / "m", **changed)
    with pytest.raises(UsageError, match=said) as raised:
        export(tmp_path, model)
    assert "convert_hf_to_gguf.py" in str(raised.value)
    assert not (tmp_path / "m.gguf").exists()


def test_weights_that_float16_cannot_hold(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    model = write_tiny_llama(tmp_path / "m")
    weights = tiny_weights()
    weights["model.layers.0.mlp.up_proj.weight"][0, 0] = 1e6
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UsageError, match="float16 cannot"):
        export(tmp_path, model)
    assert [path.name for path in tmp_path.glob("m*")] == ["m"]
    export(tmp_path, model, precision=Precision.FP32)


def test_odd_requests(tmp_path: Path) -> None:
    model = write_tiny_llama(tmp_path / "m")
    with pytest.raises(UsageError, match="not in int4"):
        export(tmp_path, model, precision=Precision.INT4)
    with pytest.raises(UsageError, match="--context"):
        export(tmp_path, model, context=64)
    with pytest.raises(UsageError, match=r"end in \.gguf"):
        run_export(ExportRequest(source=str(model), form="gguf", output=tmp_path / "x"))
    export(tmp_path, model)
    with pytest.raises(UsageError, match="there already"):
        export(tmp_path, model)


def test_a_tokenizer_of_another_kind(tmp_path: Path) -> None:
    model = write_tiny_llama(tmp_path / "m")
    said = json.loads((model / "tokenizer.json").read_text())
    said["pre_tokenizer"] = {"type": "Whitespace"}
    (model / "tokenizer.json").write_text(json.dumps(said))
    with pytest.raises(UsageError, match="splits text in a way"):
        export(tmp_path, model)
