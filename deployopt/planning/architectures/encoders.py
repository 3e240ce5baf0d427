"""Text encoders in BERT's line: absolute positions, post-norm layers with biases.

In: the config of one family. Out: its architecture, without a head where `architectures` names
none. Keys that a config leaves out have the family's defaults.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from deployopt.core.architecture import Architecture, Stack
from deployopt.planning.architectures import endings
from deployopt.planning.architectures.counts import bert_layer, linear
from deployopt.planning.architectures.endings import Parts, Widths, ending
from deployopt.planning.architectures.heads import head_of, heads_divide
from deployopt.planning.architectures.keys import HEADS, LAYERS, TOKENS, VOCABULARY, Keys, Readers


class Encoder(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes of one encoder; `skipped` positions stand before a text's first (padding's)."""

    model_type: str
    vocabulary: int
    hidden: int
    layers: int
    heads: int
    ffn: int
    positions: int
    skipped: int = 0
    types: int = 0
    embedding: int
    layer_parameters: int
    body_extra: int = 0
    norm: int | None = None
    """Elements of the norm behind the lookup tables; None: weight and bias of their width."""
    learned: bool = True
    """Positions are a lookup table."""
    tied: bool = True
    own: Mapping[str, int] = {}
    """Parameters of the ending's parts that only this family has."""


class Defaults(msgspec.Struct, frozen=True, kw_only=True):
    """A family's sizes where its config is silent."""

    vocabulary: int = 30522
    hidden: int = 768
    layers: int = 12
    heads: int = 12
    ffn: int = 3072
    positions: int = 512
    types: int = 2


def sized(keys: Keys, defaults: Defaults, model_type: str) -> Encoder:
    """The sizes under the usual keys, with BERT's layer."""
    hidden = keys.whole("hidden_size", defaults.hidden)
    ffn = keys.whole("intermediate_size", defaults.ffn)
    heads = keys.whole("num_attention_heads", defaults.heads, most=HEADS)
    heads_divide(keys, hidden, heads)
    return Encoder(
        model_type=model_type,
        vocabulary=keys.whole("vocab_size", defaults.vocabulary, most=VOCABULARY),
        hidden=hidden,
        layers=keys.whole("num_hidden_layers", defaults.layers, most=LAYERS),
        heads=heads,
        ffn=ffn,
        positions=keys.whole("max_position_embeddings", defaults.positions, most=TOKENS),
        types=keys.whole("type_vocab_size", defaults.types, least=0) if defaults.types else 0,
        embedding=hidden,
        layer_parameters=bert_layer(hidden, ffn),
        tied=keys.flag("tie_word_embeddings", default=True),
    )


def assemble(keys: Keys, encoder: Encoder, parts: Parts) -> Architecture:
    """The architecture of this encoder with the head that the config names."""
    rows = encoder.vocabulary + encoder.types + (encoder.positions if encoder.learned else 0)
    tables = rows * encoder.embedding
    widths = Widths(
        hidden=encoder.hidden,
        embedding=encoder.embedding,
        vocabulary=encoder.vocabulary,
        tied=encoder.tied,
        own=encoder.own,
    )
    end = ending(keys, parts, head_of(keys, "base"), widths)
    norm = 2 * encoder.embedding if encoder.norm is None else encoder.norm
    body = norm + encoder.layers * encoder.layer_parameters + encoder.body_extra
    return Architecture(
        model_type=encoder.model_type,
        stacks=(stack_of(encoder),),
        operations=end.operations,
        activations=2 * encoder.hidden + end.labels if end.operations else 0,
        vocabulary=encoder.vocabulary,
        positions=max(1, encoder.positions - encoder.skipped),
        learned_positions=encoder.learned,
        labels=end.labels,
        tied=end.tied,
        parameters=tables + body + end.parameters,
        embedding_parameters=tables,
        embedding_width=encoder.embedding if encoder.embedding != encoder.hidden else 0,
        head_parameters=end.vocabulary,
        basis="",
    )


def stack_of(encoder: Encoder) -> Stack:
    """The layers, as memory and operations see them."""
    return Stack(
        name="encoder",
        layers=encoder.layers,
        hidden=encoder.hidden,
        heads=encoder.heads,
        kv_heads=encoder.heads,
        head_dim=encoder.hidden // encoder.heads,
        ffn=encoder.ffn,
    )


def bert(keys: Keys) -> Architecture:
    """BERT, and MiniLM, TinyBERT and the sentence encoders in its format; Jina 2 with ALiBi."""
    encoder = sized(keys, Defaults(), "bert")
    alibi = keys.text("position_embedding_type") == "alibi"
    if not keys.text("feed_forward_type").endswith("glu"):
        return assemble(keys, msgspec.structs.replace(encoder, learned=not alibi), endings.BERT)
    hidden, ffn = encoder.hidden, encoder.ffn
    layer = 4 * linear(hidden, hidden) + linear(hidden, 2 * ffn, bias=False)
    layer += linear(ffn, hidden) + 4 * hidden
    encoder = msgspec.structs.replace(encoder, learned=not alibi, layer_parameters=layer)
    return gated(assemble(keys, encoder, endings.BERT))


def gated(architecture: Architecture) -> Architecture:
    """The same with three matrices in each feed-forward."""
    stack = msgspec.structs.replace(architecture.stacks[0], gated=True)
    return msgspec.structs.replace(architecture, stacks=(stack,))


def distilbert(keys: Keys) -> Architecture:
    """DistilBERT: no token types, no pooler, a dense layer before the classifier."""
    named = keys.named(
        hidden_size="dim",
        intermediate_size="hidden_dim",
        num_hidden_layers="n_layers",
        num_attention_heads="n_heads",
    )
    encoder = sized(named, Defaults(layers=6, types=0), "distilbert")
    return assemble(named, encoder, endings.DISTILBERT)


def roberta(keys: Keys) -> Architecture:
    """RoBERTa, XLM-R and CamemBERT: the first two positions are never used by a text."""
    model_type = keys.text("model_type", "roberta")
    encoder = sized(keys, Defaults(vocabulary=50265), model_type)
    skipped = keys.whole("pad_token_id", 1, least=0) + 1
    return assemble(keys, msgspec.structs.replace(encoder, skipped=skipped), endings.ROBERTA)


def electra(keys: Keys) -> Architecture:
    """ELECTRA: a narrower lookup table, widened before the first layer."""
    defaults = Defaults(hidden=256, heads=4, ffn=1024)
    encoder = sized(keys, defaults, "electra")
    width = keys.whole("embedding_size", 128)
    encoder = msgspec.structs.replace(
        encoder,
        embedding=width,
        body_extra=linear(width, encoder.hidden) if width != encoder.hidden else 0,
    )
    return assemble(keys, encoder, endings.ELECTRA)


ENCODERS: Final[Readers] = {
    "bert": bert,
    "distilbert": distilbert,
    "roberta": roberta,
    "xlm-roberta": roberta,
    "camembert": roberta,
    "electra": electra,
}
