"""Further text encoders: Longformer, BigBird, DeBERTa 1, RoFormer, Megatron, LayoutLM, ESM, ...

In: the config of one family. Out: its architecture. Attention that skips pairs of tokens is counted
in full, as exported graphs without their own kernels run it at short lengths.
"""

from typing import Final

import msgspec

from deployopt.core.architecture import Architecture
from deployopt.planning.architectures import endings
from deployopt.planning.architectures.counts import bert_layer, linear
from deployopt.planning.architectures.encoders import Defaults, assemble, gated, sized
from deployopt.planning.architectures.keys import HEADS, TOKENS, Keys, Readers

_BIGBIRD: Final[endings.Parts] = {
    **endings.BERT,
    "classify": ("pooler", "dense", "out"),
    "span": ("pooler", "widest", "out"),
    "mask": ("pooler", "transform", "vocabulary"),
}
_LAYOUTLM: Final[endings.Parts] = {
    **endings.BERT,
    "tag": ("pooler", "out"),
    "span": ("pooler", "out"),
    "mask": ("pooler", "transform", "vocabulary"),
}
_ROFORMER: Final[endings.Parts] = {
    **endings.ROBERTA,
    "base": (),
    "mask": ("narrowing", "vocabulary"),
}
_DEBERTA: Final[endings.Parts] = {**endings.DEBERTA, "mask": ("transform", "vocabulary")}
_ESM: Final[endings.Parts] = {**endings.ROBERTA, "mask": ("transform", "vocabulary", "contacts")}
_CONTENT: Final = "c2p"


def longformer(keys: Keys) -> Architecture:
    """Longformer: a second set of queries, keys and values for tokens that see all."""
    encoder = sized(keys, Defaults(), "longformer")
    hidden = encoder.hidden
    layer = bert_layer(hidden, encoder.ffn, attention=7 * linear(hidden, hidden))
    skipped = keys.whole("pad_token_id", 1, least=0) + 1
    encoder = msgspec.structs.replace(encoder, layer_parameters=layer, skipped=skipped)
    return assemble(keys, encoder, endings.ROBERTA)


def big_bird(keys: Keys) -> Architecture:
    """BigBird."""
    encoder = sized(keys, Defaults(vocabulary=50358, positions=4096), "big_bird")
    hidden = encoder.hidden
    if not keys.flag("use_bias", default=True):
        layer = encoder.layer_parameters - 3 * hidden
        encoder = msgspec.structs.replace(encoder, layer_parameters=layer)
    widest = linear(hidden, encoder.ffn) + linear(encoder.ffn, hidden) + 2 * hidden
    own = {"widest": widest - linear(hidden, hidden)}
    return assemble(keys, msgspec.structs.replace(encoder, own=own), _BIGBIRD)


def deberta(keys: Keys) -> Architecture:
    """DeBERTa 1: one matrix for queries, keys and values, with biases on two of them."""
    encoder = sized(keys, Defaults(vocabulary=50265, types=0), "deberta")
    hidden = encoder.hidden
    relative = keys.flag("relative_attention", default=False)
    said = keys.values.get("pos_att_type")
    kinds = said.lower().split("|") if isinstance(said, str) else keys.texts("pos_att_type")
    attention = 3 * hidden * hidden + 2 * hidden + linear(hidden, hidden)
    distances = 0
    if relative:
        farthest = keys.whole("max_relative_positions", -1, least=-1, most=TOKENS)
        distances = 2 * (farthest if farthest > 0 else encoder.positions)
        attention += hidden * hidden if _CONTENT in kinds else 0
        attention += linear(hidden, hidden) if "p2c" in kinds else 0
    if keys.flag("talking_head", default=False):
        attention += 2 * encoder.heads**2
    encoder = msgspec.structs.replace(
        encoder,
        types=keys.whole("type_vocab_size", 0, least=0),
        learned=keys.flag("position_biased_input", default=True),
        layer_parameters=bert_layer(hidden, encoder.ffn, attention=attention),
        body_extra=distances * hidden,
    )
    found = assemble(keys, encoder, _DEBERTA)
    stack = msgspec.structs.replace(found.stacks[0], relative=distances)
    return msgspec.structs.replace(found, stacks=(stack,))


def megatron(keys: Keys) -> Architecture:
    """Megatron's BERT: norms in front, one more behind the last layer."""
    usual = Defaults(vocabulary=29056, hidden=1024, layers=24, heads=16, ffn=4096)
    encoder = sized(keys, usual, "megatron-bert")
    return assemble(keys, msgspec.structs.replace(encoder, norm=2 * encoder.hidden), endings.BERT)


def layoutlm(keys: Keys) -> Architecture:
    """LayoutLM 1: BERT with tables for the four sides of a word's box."""
    encoder = sized(keys, Defaults(), "layoutlm")
    rows = 4 * keys.whole("max_2d_position_embeddings", 1024, most=TOKENS)
    extra = rows * encoder.hidden
    found = assemble(keys, msgspec.structs.replace(encoder, body_extra=extra), _LAYOUTLM)
    return msgspec.structs.replace(found, embedding_parameters=found.embedding_parameters + extra)


def roformer(keys: Keys) -> Architecture:
    """RoFormer: rotary positions, whose table is kept with the weights."""
    encoder = sized(keys, Defaults(vocabulary=50000, positions=1536), "roformer")
    hidden = encoder.hidden
    width = keys.whole("embedding_size", hidden)
    extra = encoder.positions * (hidden // encoder.heads)
    extra += linear(width, hidden) if width != hidden else 0
    encoder = msgspec.structs.replace(encoder, embedding=width, learned=False, body_extra=extra)
    return assemble(keys, encoder, _ROFORMER)


def squeezebert(keys: Keys) -> Architecture:
    """SqueezeBERT: BERT with its products in groups."""
    encoder = sized(keys, Defaults(), "squeezebert")
    hidden, ffn = encoder.hidden, encoder.ffn
    groups = {
        name: keys.whole(f"{name}_groups", usual, most=HEADS)
        for name, usual in (
            ("q", 4),
            ("k", 4),
            ("v", 4),
            ("post_attention", 1),
            ("intermediate", 4),
            ("output", 4),
        )
    }
    for name, count in groups.items():
        if hidden % count or ffn % count:
            raise keys.wrong(f"{name}_groups", f"a divisor of {hidden} and {ffn}")
    attention = sum(
        hidden * hidden // groups[name] + hidden for name in ("q", "k", "v", "post_attention")
    )
    layer = attention + hidden * ffn // groups["intermediate"] + ffn
    layer += ffn * hidden // groups["output"] + hidden + 4 * hidden
    return assemble(keys, msgspec.structs.replace(encoder, layer_parameters=layer), endings.BERT)


def ernie(keys: Keys) -> Architecture:
    """ERNIE: BERT, with kinds of tasks where the config asks for them."""
    encoder = sized(keys, Defaults(), "ernie")
    if keys.flag("use_task_id", default=False):
        more = keys.whole("task_type_vocab_size", 3)
        encoder = msgspec.structs.replace(encoder, types=encoder.types + more)
    return assemble(keys, encoder, endings.BERT)


def roberta_xl(keys: Keys) -> Architecture:
    """XLM-R XL and XXL: norms in front."""
    usual = Defaults(
        vocabulary=250880, hidden=2560, layers=36, heads=32, ffn=10240, positions=514, types=1
    )
    encoder = sized(keys, usual, "xlm-roberta-xl")
    skipped = keys.whole("pad_token_id", 1, least=0) + 1
    encoder = msgspec.structs.replace(encoder, norm=2 * encoder.hidden, skipped=skipped)
    return assemble(keys, encoder, endings.ROBERTA)


def data2vec_text(keys: Keys) -> Architecture:
    """data2vec's text encoder: RoBERTa."""
    encoder = sized(keys, Defaults(), "data2vec-text")
    skipped = keys.whole("pad_token_id", 1, least=0) + 1
    return assemble(keys, msgspec.structs.replace(encoder, skipped=skipped), endings.ROBERTA)


def jina3(keys: Keys) -> Architecture:
    """Jina's third embedding model in transformers' format: XLM-R with rotary positions."""
    usual = Defaults(
        vocabulary=250002, hidden=1024, layers=24, heads=16, ffn=4096, positions=8194, types=1
    )
    encoder = sized(keys, usual, "jina_embeddings_v3")
    return assemble(keys, msgspec.structs.replace(encoder, learned=False), endings.ROBERTA)


def nystromformer(keys: Keys) -> Architecture:
    """Nystromformer: BERT with a convolution over the values."""
    encoder = sized(keys, Defaults(vocabulary=30000, positions=510), "nystromformer")
    kernel = keys.optional("conv_kernel_size", 65, most=HEADS) or 0
    layer = encoder.layer_parameters + encoder.heads * kernel
    encoder = msgspec.structs.replace(encoder, layer_parameters=layer)
    rows = 2 * encoder.hidden
    encoder = msgspec.structs.replace(encoder, body_extra=rows)
    parts = {**endings.BERT, "base": (), "classify": ("dense", "out")}
    return assemble(keys, encoder, parts)


def esm(keys: Keys) -> Architecture:
    """ESM 2: proteins; rotary positions, norms in front."""
    if keys.flag("is_folding_model", default=False):
        raise keys.wrong("is_folding_model", "false")
    usual = Defaults(vocabulary=33, positions=1026, types=0)
    encoder = sized(keys, usual, "esm")
    learned = keys.text("position_embedding_type", "absolute") == "absolute"
    before = 2 * encoder.hidden if keys.flag("emb_layer_norm_before", default=False) else 0
    contacts = encoder.layers * encoder.heads + 1
    encoder = msgspec.structs.replace(
        encoder,
        norm=before + 2 * encoder.hidden,
        learned=learned,
        skipped=2,
        body_extra=contacts,
        own={"contacts": 0},
    )
    return assemble(keys, encoder, _ESM)


def eurobert(keys: Keys) -> Architecture:
    """EuroBERT: Llama's layers that look both ways."""
    usual = Defaults(vocabulary=128256, positions=8192, types=0)
    encoder = sized(keys, usual, "eurobert")
    hidden, heads = encoder.hidden, encoder.heads
    kept = keys.whole("num_key_value_heads", heads, most=HEADS)
    if heads % kept:
        raise keys.wrong("num_key_value_heads", f"a divisor of the {heads} attention heads")
    head_dim = keys.whole("head_dim", hidden // heads, most=HEADS)
    bias = keys.flag("attention_bias", default=False)
    deep = keys.flag("mlp_bias", default=False)
    layer = linear(hidden, (heads + 2 * kept) * head_dim, bias=bias)
    layer += linear(heads * head_dim, hidden, bias=bias) + 2 * hidden
    layer += 2 * linear(hidden, encoder.ffn, bias=deep) + linear(encoder.ffn, hidden, bias=deep)
    encoder = msgspec.structs.replace(
        encoder,
        learned=False,
        norm=hidden,
        layer_parameters=layer,
        tied=keys.flag("tie_word_embeddings", default=False),
        own={"vocabulary": 0},
    )
    parts = {**endings.DISTILBERT, "mask": ("vocabulary",), "classify": ("dense", "out")}
    found = gated(assemble(keys, encoder, parts))
    stack = msgspec.structs.replace(found.stacks[0], kv_heads=kept, head_dim=head_dim, rms=True)
    return msgspec.structs.replace(found, stacks=(stack,))


FURTHER: Final[Readers] = {
    "longformer": longformer,
    "big_bird": big_bird,
    "deberta": deberta,
    "megatron-bert": megatron,
    "layoutlm": layoutlm,
    "roformer": roformer,
    "squeezebert": squeezebert,
    "ernie": ernie,
    "xlm-roberta-xl": roberta_xl,
    "data2vec-text": data2vec_text,
    "jina_embeddings_v3": jina3,
    "nystromformer": nystromformer,
    "esm": esm,
    "eurobert": eurobert,
}
