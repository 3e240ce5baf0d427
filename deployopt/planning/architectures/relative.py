"""Encoders with relative positions: MPNet's table of biases, DeBERTa's disentangled attention.

In: the config of one family. Out: its architecture.
"""

from typing import Final

import msgspec

from deployopt.core.architecture import Architecture
from deployopt.planning.architectures import endings
from deployopt.planning.architectures.counts import bert_layer, linear
from deployopt.planning.architectures.encoders import Defaults, Encoder, assemble, sized
from deployopt.planning.architectures.keys import TOKENS, Keys, Readers

_PADDED: Final = 2
"""Positions that no text uses."""


def mpnet(keys: Keys) -> Architecture:
    """MPNet: RoBERTa with a bias for each distance and head, one table for all layers."""
    encoder = sized(keys, Defaults(vocabulary=30527, types=0), "mpnet")
    buckets = keys.whole("relative_attention_num_buckets", 32)
    encoder = msgspec.structs.replace(encoder, skipped=_PADDED, body_extra=buckets * encoder.heads)
    return assemble(keys, encoder, endings.ROBERTA)


def deberta_v2(keys: Keys) -> Architecture:
    """DeBERTa 2 and 3."""
    defaults = Defaults(vocabulary=128100, hidden=1536, layers=24, heads=24, ffn=6144, types=0)
    encoder = sized(keys, defaults, "deberta-v2")
    width = keys.whole("embedding_size", encoder.hidden)
    relative = keys.flag("relative_attention", default=False)
    extra = _convolution(keys, encoder)
    extra += linear(width, encoder.hidden, bias=False) if width != encoder.hidden else 0
    distances = _distances(keys, encoder) if relative else 0
    extra += _table(keys, encoder, distances) if relative else 0
    attention = (4 + (_projections(keys) if relative else 0)) * linear(
        encoder.hidden, encoder.hidden
    )
    encoder = msgspec.structs.replace(
        encoder,
        embedding=width,
        types=keys.whole("type_vocab_size", 0, least=0),
        learned=keys.flag("position_biased_input", default=True),
        norm=2 * encoder.hidden,
        layer_parameters=bert_layer(encoder.hidden, encoder.ffn, attention=attention),
        body_extra=extra,
    )
    found = assemble(keys, encoder, endings.DEBERTA)
    stack = msgspec.structs.replace(found.stacks[0], relative=distances)
    return msgspec.structs.replace(found, stacks=(stack,))


def _projections(keys: Keys) -> int:
    """Matrices of a layer's own for the positions, unless it uses those for the contents."""
    if keys.flag("share_att_key", default=False):
        return 0
    said = keys.values.get("pos_att_type")
    kinds = said.lower().split("|") if isinstance(said, str) else keys.texts("pos_att_type")
    return sum(kind.strip() in {"c2p", "p2c"} for kind in kinds)


def _distances(keys: Keys, encoder: Encoder) -> int:
    """How many distances there are, to both sides."""
    rows = _whole_or_unset(keys, "position_buckets")
    return 2 * (rows or _whole_or_unset(keys, "max_relative_positions") or encoder.positions)


def _table(keys: Keys, encoder: Encoder, distances: int) -> int:
    """The lookup table of distances, with its norm."""
    normed = "layer_norm" in keys.text("norm_rel_ebd", "none")
    return distances * encoder.hidden + (2 * encoder.hidden if normed else 0)


def _convolution(keys: Keys, encoder: Encoder) -> int:
    kernel = keys.whole("conv_kernel_size", 0, least=0, most=TOKENS)
    if not kernel:
        return 0
    groups = keys.whole("conv_groups", 1)
    weights = encoder.hidden * encoder.hidden * kernel // groups
    return weights + 3 * encoder.hidden


def _whole_or_unset(keys: Keys, name: str) -> int:
    """A whole number; -1 means that it is not set."""
    return max(0, keys.whole(name, -1, least=-1, most=TOKENS))


RELATIVE: Final[Readers] = {
    "mpnet": mpnet,
    "deberta-v2": deberta_v2,
}
