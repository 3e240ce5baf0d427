"""A GGUF file becomes a folder once, in a confined process, with the same weights."""

from pathlib import Path

import numpy as np
import pytest

from deployopt.core.errors import RefusedInputError, UsageError
from deployopt.core.interface import PromptInputs
from deployopt.sources.gguf import gguf_note
from deployopt.sources.gguf_header import GgufFacts
from deployopt.sources.models import resolve_model
from deployopt.store.store import Store
from tests.fakes.chat import (
    CONTEXT,
    END,
    FFN,
    HEADS,
    HIDDEN,
    KV_HEADS,
    LAYERS,
    TEMPLATE,
    tiny_tokenizer,
    tiny_weights,
)
from tests.fakes.gguf_files import TEXT, gguf, key, small, tensor, text


def facts(**elements: int) -> GgufFacts:
    return GgufFacts(
        architecture="llama", licence=None, elements=elements, weight_bytes=sum(elements.values())
    )


def test_what_is_said_of_the_weights() -> None:
    assert "is a quantized model itself" in gguf_note(facts(Q4_1=100, F32=1))
    assert gguf_note(facts(F16=100)) == "The weights come from a GGUF file in F16."


def test_a_file_that_is_none_or_cut_short_is_told_before_anything_is_copied(
    tmp_path: Path, store: Store
) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"no model")
    with pytest.raises(UsageError, match="not a GGUF file"):
        resolve_model(str(path), store=store)
    path.write_bytes(small()[:-1])
    with pytest.raises(RefusedInputError, match="cut short"):
        resolve_model(str(path), store=store)
    with pytest.raises(UsageError, match="no file or folder"):
        resolve_model(str(tmp_path / "other.gguf"), store=store)
    assert not list(store.layout.staging.glob("*")) if store.layout.staging.exists() else True


def write_llama(path: Path) -> dict[str, np.ndarray]:
    """The tiny model as llama.cpp would write it, and its weights by transformers' names."""
    from gguf import GGUFWriter, TokenType
    from tokenizers import Tokenizer

    weights = tiny_weights()
    writer = GGUFWriter(path, "llama")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FFN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    words = Tokenizer.from_str(tiny_tokenizer())
    writer.add_vocab_size(words.get_vocab_size())
    writer.add_tokenizer_model("gpt2")
    tokens = [words.id_to_token(at) for at in range(words.get_vocab_size())]
    writer.add_token_list(tokens)
    kinds = [TokenType.CONTROL if at < 3 else TokenType.NORMAL for at in range(len(tokens))]
    writer.add_token_types(kinds)
    import json

    merges = json.loads(tiny_tokenizer())["model"]["merges"]
    writer.add_token_merges([" ".join(pair) for pair in merges])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(tokens.index(END))
    writer.add_chat_template(TEMPLATE)
    for name, array in weights.items():
        writer.add_tensor(gguf_name(name), permuted(name, array))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return weights


def gguf_name(name: str) -> str:
    short = {
        "model.embed_tokens": "token_embd", "model.norm": "output_norm",
        "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm",
        "post_attention_layernorm": "ffn_norm", "model.layers": "blk",
    }  # fmt: skip
    for long, other in short.items():
        name = name.replace(long, other)
    return name


def permuted(name: str, array: np.ndarray) -> np.ndarray:
    """llama.cpp keeps the two halves of a rotation beside each other."""
    heads = HEADS if "q_proj" in name else KV_HEADS if "k_proj" in name else 0
    if not heads:
        return array
    split = array.reshape(heads, 2, array.shape[0] // heads // 2, *array.shape[1:])
    return np.ascontiguousarray(split.swapaxes(1, 2).reshape(array.shape))


@pytest.mark.torch
def test_it_becomes_a_folder_with_the_same_weights(tmp_path: Path, store: Store) -> None:
    from safetensors.numpy import load_file

    path = tmp_path / "tiny.gguf"
    weights = write_llama(path)
    source = resolve_model(str(path), store=store)
    assert source.interface.inputs == PromptInputs(context=CONTEXT, chat=True)
    assert source.artifact.notes == ("The weights come from a GGUF file in F32.",)
    assert [entry.path for entry in source.origin.files] == ["tiny.gguf"]
    found = load_file(source.artifact.folder / "model.safetensors")
    assert set(found) == set(weights)
    for name, array in weights.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
    assert str(tmp_path) not in (source.artifact.folder / "config.json").read_text()
    # Another name of the same bytes is the same model; nothing is converted again.
    path.rename(tmp_path / "other.gguf")
    again = resolve_model(str(tmp_path / "other.gguf"), store=store)
    assert again.artifact.digest == source.artifact.digest


@pytest.mark.torch
def test_a_kind_that_is_not_read_is_named(tmp_path: Path, store: Store) -> None:
    path = tmp_path / "odd.gguf"
    kind = key("general.architecture", TEXT, text("strange-net"))
    path.write_bytes(gguf([kind], [tensor("w", (64,))], b"\0" * 256))
    with pytest.raises(
        UsageError, match=r"'strange-net'.*Kinds that are: .*llama.*qwen2"
    ) as raised:
        resolve_model(str(path), store=store)
    assert str(path) in str(raised.value)
    assert str(store.layout.root) not in str(raised.value)


@pytest.mark.torch
def test_a_file_that_breaks_its_reader_breaks_nothing_else(tmp_path: Path, store: Store) -> None:
    path = tmp_path / "broken.gguf"
    path.write_bytes(small())
    with pytest.raises(RefusedInputError, match=r"broken\.gguf was not opened: .*its own failed"):
        resolve_model(str(path), store=store)
    assert not list(store.layout.staging.glob("*"))
    assert not list(store.layout.keys.glob("*"))
