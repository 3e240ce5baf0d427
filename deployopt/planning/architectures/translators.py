"""Encoder-decoder models in BART's line: mBART, Pegasus, Marian, M2M-100 and NLLB; Whisper.

In: the config of one family. Out: its architecture of two stacks. Frozen tables of sines that a
model keeps as weights count as parameters, as they do where they are published.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from deployopt.core.architecture import Architecture, Stack
from deployopt.core.plan import Operation
from deployopt.planning.architectures.counts import bert_layer, decoder_layer, linear
from deployopt.planning.architectures.heads import head_of, heads_divide
from deployopt.planning.architectures.keys import HEADS, LAYERS, TOKENS, VOCABULARY, Keys, Readers
from deployopt.planning.operations.counting import gemm

_CONVOLUTION: Final = 3
"""Frames that Whisper's two convolutions see."""


class Half(msgspec.Struct, frozen=True, kw_only=True):
    """The encoder or the decoder."""

    layers: int
    heads: int
    ffn: int


class Style(msgspec.Struct, frozen=True, kw_only=True):
    """What sets a family apart: rows of positions beside the config's, norms outside the layers."""

    rows: int = 2
    tables: bool = True
    norms: int = 1
    """For each half: behind the lookup table, behind the last layer."""
    labels: int = 2


_STYLES: Final[Mapping[str, Style]] = {
    "bart": Style(labels=3),
    "mbart": Style(norms=2),
    "pegasus": Style(rows=0),
    "marian": Style(rows=0, norms=0),
    "m2m_100": Style(tables=False),
}


def _half(keys: Keys, name: str, hidden: int, defaults: Half) -> Half:
    heads = keys.whole(f"{name}_attention_heads", defaults.heads, most=HEADS)
    heads_divide(keys, hidden, heads)
    return Half(
        layers=keys.whole(f"{name}_layers", defaults.layers, most=LAYERS),
        heads=heads,
        ffn=keys.whole(f"{name}_ffn_dim", defaults.ffn),
    )


def translator(keys: Keys) -> Architecture:
    """BART and the translators and summarizers after it."""
    model_type = keys.text("model_type", "bart")
    style = _STYLES[model_type]
    hidden = keys.whole("d_model", 1024)
    usual = Half(layers=12, heads=16, ffn=4096)
    encoder, decoder = (_half(keys, name, hidden, usual) for name in ("encoder", "decoder"))
    positions = keys.whole("max_position_embeddings", 1024, most=TOKENS)
    vocabulary = keys.whole("vocab_size", _vocabularies(model_type), most=VOCABULARY)
    rows = positions + style.rows if style.tables else 0
    shared = keys.flag("share_encoder_decoder_embeddings", default=True)
    target = keys.whole("decoder_vocab_size", vocabulary, most=VOCABULARY)
    tables = (vocabulary + (0 if shared else target) + 2 * rows) * hidden
    tied = keys.flag("tie_word_embeddings", default=True)
    end = head_of(keys, "generate")
    head = 0 if tied or end != "generate" else target * hidden
    other, labels, operations = _ending(keys, hidden, end, style)
    body = encoder.layers * bert_layer(hidden, encoder.ffn)
    body += decoder.layers * decoder_layer(hidden, decoder.ffn)
    return Architecture(
        model_type=model_type,
        stacks=stacks_of(hidden, encoder, decoder),
        operations=operations,
        vocabulary=vocabulary,
        positions=positions,
        learned_positions=style.tables,
        labels=labels,
        tied=tied and end == "generate",
        parameters=tables + body + style.norms * 4 * hidden + head + other,
        embedding_parameters=tables,
        head_parameters=head,
        basis="",
    )


def _vocabularies(model_type: str) -> int:
    return {"marian": 58101, "m2m_100": 128112}.get(model_type, 50265)


def _ending(
    keys: Keys, hidden: int, end: str, style: Style
) -> tuple[int, int, tuple[Operation, ...]]:
    if end == "classify":
        labels = keys.labels(style.labels)
        operations = (gemm(1, hidden, hidden), gemm(1, hidden, labels))
        return linear(hidden, hidden) + linear(hidden, labels), labels, operations
    if end == "span":
        labels = keys.labels()
        return linear(hidden, labels), labels, ()
    return 0, 0, ()


def stacks_of(hidden: int, encoder: Half, decoder: Half) -> tuple[Stack, Stack]:
    """Encoder and decoder, as memory and operations see them."""
    halves = tuple(
        Stack(
            name=name,
            layers=half.layers,
            hidden=hidden,
            heads=half.heads,
            kv_heads=half.heads,
            head_dim=hidden // half.heads,
            ffn=half.ffn,
        )
        for name, half in (("encoder", encoder), ("decoder", decoder))
    )
    return halves[0], msgspec.structs.replace(halves[1], causal=True, cross=True)


def whisper(keys: Keys) -> Architecture:
    """Whisper: two convolutions over 30 s of sound, then BART without biases on the keys."""
    hidden = keys.whole("d_model", 384)
    usual = Half(layers=4, heads=6, ffn=1536)
    encoder, decoder = (_half(keys, name, hidden, usual) for name in ("encoder", "decoder"))
    frames = keys.whole("max_source_positions", 1500, most=TOKENS)
    positions = keys.whole("max_target_positions", 448, most=TOKENS)
    mels = keys.whole("num_mel_bins", 80)
    vocabulary = keys.whole("vocab_size", 51865, most=VOCABULARY)
    tied = keys.flag("tie_word_embeddings", default=True)
    end = head_of(keys, "generate")
    head = 0 if tied or end != "generate" else vocabulary * hidden
    stems = linear(_CONVOLUTION * mels, hidden) + linear(_CONVOLUTION * hidden, hidden)
    body = encoder.layers * (bert_layer(hidden, encoder.ffn) - hidden)
    body += decoder.layers * (decoder_layer(hidden, decoder.ffn) - 2 * hidden)
    tables = (vocabulary + positions) * hidden
    heard, written = stacks_of(hidden, encoder, decoder)
    return Architecture(
        model_type="whisper",
        stacks=(msgspec.structs.replace(heard, name="audio", tokens=frames), written),
        operations=(_sound(2 * frames, mels, hidden), _sound(frames, hidden, hidden)),
        activations=2 * frames * (mels + hidden),
        vocabulary=vocabulary,
        positions=positions,
        learned_positions=True,
        tied=tied and end == "generate",
        parameters=tables + frames * hidden + stems + body + 4 * hidden + head,
        embedding_parameters=tables,
        head_parameters=head,
        basis="",
    )


def _sound(frames: int, inner: int, outer: int) -> Operation:
    weights = _CONVOLUTION * inner * outer
    return Operation(
        kind="conv",
        macs=frames * weights,
        weights=weights,
        activations=frames * (inner + outer),
    )


TRANSLATORS: Final[Readers] = {
    "bart": translator,
    "mbart": translator,
    "pegasus": translator,
    "marian": translator,
    "m2m_100": translator,
    "whisper": whisper,
}
