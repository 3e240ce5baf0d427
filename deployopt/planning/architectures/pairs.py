"""Encoder-decoder models: T5's line here, BART's in `translators`.

In: the config of one family. Out: its architecture of two stacks that share one lookup table.
"""

from typing import Final

import msgspec

from deployopt.core.architecture import Architecture, Stack
from deployopt.planning.architectures.counts import linear
from deployopt.planning.architectures.heads import head_of
from deployopt.planning.architectures.keys import HEADS, LAYERS, VOCABULARY, Keys, Readers


class T5(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes of a T5-like model; `biased` layers a stack have a relative position table."""

    model_type: str
    vocabulary: int
    hidden: int
    heads: int
    head_dim: int
    ffn: int
    gated: bool
    layers: int
    decoder_layers: int
    buckets: int
    every_layer_biased: bool
    tied: bool


class Defaults(msgspec.Struct, frozen=True, kw_only=True):
    """A family's sizes where its config is silent."""

    vocabulary: int = 32128
    ffn: int = 2048
    layers: int = 6
    heads: int = 8
    projection: str = "relu"
    tied: bool = True


def sized(keys: Keys, defaults: Defaults, model_type: str) -> T5:
    """T5's keys. `tie_word_embeddings` is taken as written: T5 1.1 and Flan have two tables."""
    layers = keys.whole("num_layers", defaults.layers, most=LAYERS)
    return T5(
        model_type=model_type,
        vocabulary=keys.whole("vocab_size", defaults.vocabulary, most=VOCABULARY),
        hidden=keys.whole("d_model", 512),
        heads=keys.whole("num_heads", defaults.heads, most=HEADS),
        head_dim=keys.whole("d_kv", 64, most=HEADS),
        ffn=keys.whole("d_ff", defaults.ffn),
        gated=_gated(keys, defaults.projection),
        layers=layers,
        decoder_layers=keys.whole("num_decoder_layers", layers, most=LAYERS),
        buckets=keys.whole("relative_attention_num_buckets", 32),
        every_layer_biased=model_type == "umt5",
        tied=keys.flag("tie_word_embeddings", default=defaults.tied),
    )


def _gated(keys: Keys, default: str) -> bool:
    return keys.text("feed_forward_proj", default).startswith("gated-")


def assemble(keys: Keys, model: T5) -> Architecture:
    """Both stacks, or the encoder alone where the config names an encoder's class."""
    end = head_of(keys, "generate")
    inner = model.heads * model.head_dim
    attention = 4 * model.hidden * inner
    feed = (3 if model.gated else 2) * model.hidden * model.ffn
    table = model.vocabulary * model.hidden
    alone = end in {"encode", "tag"}
    encoder = model.layers * (attention + feed + 2 * model.hidden) + model.hidden
    decoder = model.decoder_layers * (2 * attention + feed + 3 * model.hidden) + model.hidden
    biases = _bias_layers(model, model.layers)
    biases += 0 if alone else _bias_layers(model, model.decoder_layers)
    head = 0 if model.tied or end != "generate" else table
    other, labels = _other_head(keys, model.hidden, end)
    return Architecture(
        model_type=model.model_type,
        stacks=stacks_of(model)[: 1 if alone else 2],
        vocabulary=model.vocabulary,
        labels=labels,
        tied=model.tied and end == "generate",
        parameters=table
        + encoder
        + (0 if alone else decoder)
        + biases * model.buckets * model.heads
        + head
        + other,
        embedding_parameters=table,
        head_parameters=head,
        basis="",
    )


def _bias_layers(model: T5, layers: int) -> int:
    return layers if model.every_layer_biased else 1


def _other_head(keys: Keys, hidden: int, end: str) -> tuple[int, int]:
    if end not in {"classify", "tag", "span"}:
        return 0, 0
    labels = keys.labels()
    dense = linear(hidden, hidden) if end == "classify" else 0
    return dense + linear(hidden, labels), labels


def stacks_of(model: T5) -> tuple[Stack, Stack]:
    """Encoder and decoder, as memory and operations see them."""
    encoder = Stack(
        name="encoder",
        layers=model.layers,
        hidden=model.hidden,
        heads=model.heads,
        kv_heads=model.heads,
        head_dim=model.head_dim,
        ffn=model.ffn,
        gated=model.gated,
        rms=True,
    )
    decoder = msgspec.structs.replace(
        encoder, name="decoder", layers=model.decoder_layers, causal=True, cross=True
    )
    return encoder, decoder


def t5(keys: Keys) -> Architecture:
    """T5 1.0 and 1.1, Flan-T5, ByT5."""
    return assemble(keys, sized(keys, Defaults(), "t5"))


def mt5(keys: Keys) -> Architecture:
    """mT5 and UMT5; the second has a relative position table in every layer."""
    model_type = keys.text("model_type", "mt5")
    defaults = Defaults(
        vocabulary=250112, ffn=1024, layers=8, heads=6, projection="gated-gelu", tied=False
    )
    return assemble(keys, sized(keys, defaults, model_type))


PAIRS: Final[Readers] = {"t5": t5, "mt5": mt5, "umt5": mt5}
