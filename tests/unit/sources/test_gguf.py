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


@pytest.mark.parametrize(
    ("keys", "name", "said"),
    [
        ([key("llama.rope.scaling.type", TEXT, text("yarn"))], "blk.0.w.weight", "yarn"),
        ([], "rope_factors_long.weight", "longrope"),
    ],
)
def test_positions_that_the_reader_would_take_for_plain_ones_are_refused(
    tmp_path: Path, store: Store, keys: list[bytes], name: str, said: str
) -> None:
    path = tmp_path / "long.gguf"
    kind = key("general.architecture", TEXT, text("llama"))
    path.write_bytes(gguf([kind, *keys], [tensor(name, (32, 32))], b"\0" * 4096))
    with pytest.raises(UsageError, match=rf"long\.gguf .* stretched \({said}\)"):
        resolve_model(str(path), store=store)


def write_llama(path: Path) -> dict[str, np.ndarray]:
    """The tiny model as llama.cpp would write it, and its weights by transformers' names."""
    weights = tiny_weights()
    write_gguf(path, {gguf_name(name): permuted(name, array) for name, array in weights.items()})
    return weights


def write_gguf(
    path: Path, tensors: dict[str, np.ndarray], kind: str = "llama", window: int | None = None
) -> None:
    """A file of these tensors with the tiny model's sizes and words."""
    from gguf import GGUFWriter, TokenType
    from tokenizers import Tokenizer

    writer = GGUFWriter(path, kind)
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
    writer.add_pad_token_id(0)
    writer.add_chat_template(TEMPLATE)
    if window is not None:
        writer.add_sliding_window(window)
    for name, array in tensors.items():
        writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


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


def llama_tensors() -> dict[str, np.ndarray]:
    return {gguf_name(name): permuted(name, array) for name, array in tiny_weights().items()}


@pytest.mark.torch
@pytest.mark.parametrize("change", ["one is left out", "one has no place"])
def test_a_file_that_is_not_the_whole_model_is_refused(
    tmp_path: Path, store: Store, change: str
) -> None:
    """What is not there would be drawn at random."""
    tensors = llama_tensors()
    if change == "one is left out":
        del tensors["blk.0.ffn_up.weight"]
    else:
        tensors["blk.0.attn_q.bias"] = np.ones(HIDDEN, dtype=np.float32)
    path = tmp_path / "part.gguf"
    write_gguf(path, tensors)
    with pytest.raises(UsageError, match=r"part\.gguf holds [\d,]+ weights, and .* is read with"):
        resolve_model(str(path), store=store)
    assert not list(store.layout.keys.glob("*"))


@pytest.mark.torch
def test_stretched_angles_of_llama_become_a_setting(tmp_path: Path, store: Store) -> None:
    """For each pair of a head by how much its angle is divided, as llama.cpp's converter does."""
    import json

    waves = 2 * np.pi * 10_000.0 ** (np.arange(HIDDEN // HEADS // 2) / (HIDDEN // HEADS // 2))
    share = (8192 / waves - 1.0) / (4.0 - 1.0)
    between = 1 / ((1 - share) / 32.0 + share)
    factors = np.where(waves < 8192 / 4.0, 1.0, np.where(waves > 8192 / 1.0, 32.0, between))
    tensors = llama_tensors()
    write_gguf(tmp_path / "a.gguf", {**tensors, "rope_freqs.weight": factors.astype(np.float32)})
    folder = resolve_model(str(tmp_path / "a.gguf"), store=store).artifact.folder
    assert json.loads((folder / "config.json").read_text())["rope_parameters"] == {
        "rope_type": "llama3",
        "rope_theta": 10_000.0,
        "factor": 32.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    odd = (2 * factors).astype(np.float32)
    write_gguf(tmp_path / "b.gguf", {**tensors, "rope_freqs.weight": odd})
    with pytest.raises(UsageError, match=r"b\.gguf .* stretched in a way that is not read"):
        resolve_model(str(tmp_path / "b.gguf"), store=store)


@pytest.mark.torch
def test_the_window_of_a_phi_model_is_kept(tmp_path: Path, store: Store) -> None:
    rng = np.random.default_rng(0)
    words = llama_tensors()["token_embd.weight"].shape[0]
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (words, HIDDEN), "output.weight": (words, HIDDEN),
        "output_norm.weight": (HIDDEN,),
    }  # fmt: skip
    for layer in range(LAYERS):
        shapes |= {
            f"blk.{layer}.attn_norm.weight": (HIDDEN,),
            f"blk.{layer}.ffn_norm.weight": (HIDDEN,),
            f"blk.{layer}.attn_qkv.weight": (HIDDEN + 2 * HIDDEN * KV_HEADS // HEADS, HIDDEN),
            f"blk.{layer}.attn_output.weight": (HIDDEN, HIDDEN),
            f"blk.{layer}.ffn_up.weight": (2 * FFN, HIDDEN),
            f"blk.{layer}.ffn_down.weight": (HIDDEN, FFN),
        }
    tensors = {n: rng.standard_normal(shape).astype(np.float32) for n, shape in shapes.items()}
    write_gguf(tmp_path / "phi.gguf", tensors, "phi3", window=128)
    source = resolve_model(str(tmp_path / "phi.gguf"), store=store)
    assert source.interface.inputs == PromptInputs(context=128, chat=True)


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
