"""Encoders with rotary positions and gated feed-forwards: ModernBERT and Nomic's BERT.

In: the config of one family. Out: its architecture.
"""

from typing import Final

import msgspec

from deployopt.core.architecture import Architecture
from deployopt.planning.architectures import endings
from deployopt.planning.architectures.counts import linear
from deployopt.planning.architectures.encoders import Defaults, assemble, gated, sized
from deployopt.planning.architectures.keys import LAYERS, Keys, Readers
from deployopt.planning.architectures.llamas import listed_windows


def modernbert(keys: Keys) -> Architecture:
    """ModernBERT: two of three layers look at a window; the first has no norm before attention."""
    defaults = Defaults(vocabulary=50368, layers=22, ffn=1152, positions=8192, types=0)
    encoder = sized(keys, defaults, "modernbert")
    hidden, ffn = encoder.hidden, encoder.ffn
    norm = hidden * (2 if keys.flag("norm_bias", default=False) else 1)
    wide = keys.flag("attention_bias", default=False)
    deep = keys.flag("mlp_bias", default=False)
    layer = linear(hidden, 3 * hidden, bias=wide) + linear(hidden, hidden, bias=wide)
    layer += linear(hidden, 2 * ffn, bias=deep) + linear(ffn, hidden, bias=deep) + 2 * norm
    head = linear(hidden, hidden, bias=keys.flag("classifier_bias", default=False)) + norm
    encoder = msgspec.structs.replace(
        encoder,
        learned=False,
        norm=norm,
        layer_parameters=layer,
        own={
            "plain": head,
            "vocabulary": encoder.vocabulary if keys.flag("decoder_bias", default=True) else 0,
        },
    )
    found = gated(assemble(keys, encoder, endings.MODERNBERT))
    stack = msgspec.structs.replace(
        found.stacks[0],
        window=keys.whole("local_attention", 128),
        window_layers=_local_layers(keys, encoder.layers),
    )
    return msgspec.structs.replace(found, stacks=(stack,))


def _local_layers(keys: Keys, layers: int) -> int:
    listed = listed_windows(keys, layers)
    every = keys.whole("global_attn_every_n_layers", 3, most=LAYERS)
    return layers - -(-layers // every) if listed is None else listed


def nomic_bert(keys: Keys) -> Architecture:
    """Nomic's embedding models, in their own format and in transformers'."""
    named = keys.named(
        hidden_size="n_embd",
        num_hidden_layers="n_layer",
        num_attention_heads="n_head",
        intermediate_size="n_inner",
        max_position_embeddings="n_positions",
    )
    encoder = sized(named, Defaults(vocabulary=30528, positions=2048), "nomic_bert")
    hidden, ffn = encoder.hidden, encoder.ffn
    layer = 4 * hidden * hidden + 3 * hidden * ffn + 4 * hidden
    encoder = msgspec.structs.replace(encoder, learned=False, layer_parameters=layer)
    return gated(assemble(named, encoder, {**endings.BERT, "base": ()}))


ROTARY: Final[Readers] = {
    "modernbert": modernbert,
    "nomic_bert": nomic_bert,
}
