"""Encoders that save parameters: ALBERT shares its layers, MobileBERT narrows inside of them.

In: the config of one family. Out: its architecture.
"""

from typing import Final

import msgspec

from deployopt.core.architecture import Architecture
from deployopt.planning.architectures import endings
from deployopt.planning.architectures.counts import linear
from deployopt.planning.architectures.encoders import Defaults, Encoder, assemble, sized
from deployopt.planning.architectures.keys import LAYERS, Keys, Readers


def albert(keys: Keys) -> Architecture:
    """ALBERT: a few layers' weights, run through again and again."""
    defaults = Defaults(vocabulary=30000, hidden=4096, heads=64, ffn=16384)
    encoder = sized(keys, defaults, "albert")
    width = keys.whole("embedding_size", 128)
    distinct = keys.whole("num_hidden_groups", 1, most=LAYERS)
    distinct *= keys.whole("inner_group_num", 1, most=LAYERS)
    encoder = msgspec.structs.replace(
        encoder,
        embedding=width,
        layer_parameters=0,
        body_extra=linear(width, encoder.hidden) + distinct * encoder.layer_parameters,
    )
    found = assemble(keys, encoder, endings.ALBERT)
    stack = msgspec.structs.replace(found.stacks[0], shared_weights=True)
    return msgspec.structs.replace(found, stacks=(stack,))


def mobilebert(keys: Keys) -> Architecture:
    """MobileBERT as published: bottlenecks, four feed-forwards a layer, three words embedded."""
    defaults = Defaults(hidden=512, layers=24, heads=4, ffn=512)
    encoder = sized(keys, defaults, "mobilebert")
    inner = keys.whole("intra_bottleneck_size", 128)
    if inner % encoder.heads:
        raise keys.wrong("intra_bottleneck_size", f"a multiple of the {encoder.heads} heads")
    if not keys.flag("use_bottleneck", default=True):
        raise keys.wrong("use_bottleneck", "true")
    feeds = keys.whole("num_feedforward_networks", 4, most=LAYERS)
    width = keys.whole("embedding_size", 128)
    seen = width * (3 if keys.flag("trigram_input", default=True) else 1)
    encoder = msgspec.structs.replace(
        encoder,
        embedding=width,
        learned=False,
        types=0,
        norm=0,
        layer_parameters=_mobile_layer(encoder, inner, feeds),
        body_extra=linear(seen, encoder.hidden) + 2 * encoder.hidden,
        own={"widening": encoder.vocabulary * (encoder.hidden - width)},
    )
    return _mobile_stack(keys, assemble(keys, encoder, _mobile_endings(keys)), (inner, feeds, seen))


def _mobile_layer(encoder: Encoder, inner: int, feeds: int) -> int:
    """Bottlenecks in (two) and out, attention on narrow queries and keys, the feed-forwards."""
    hidden, ffn = encoder.hidden, encoder.ffn
    bottlenecks = 2 * (linear(hidden, inner) + 2 * inner) + linear(inner, hidden) + 2 * hidden
    attention = 3 * linear(inner, inner) + linear(hidden, inner) + 2 * inner
    return bottlenecks + attention + feeds * (linear(inner, ffn) + linear(ffn, inner) + 2 * inner)


def _mobile_endings(keys: Keys) -> endings.Parts:
    if keys.flag("classifier_activation", default=True):
        return endings.MOBILEBERT
    return {
        word: tuple(part for part in parts if part != "pooler")
        for word, parts in endings.MOBILEBERT.items()
    }


def _mobile_stack(keys: Keys, found: Architecture, widths: tuple[int, int, int]) -> Architecture:
    """With the bottleneck, and with tables of positions and types as wide as the layers."""
    inner, feeds, seen = widths
    stack = found.stacks[0]
    rows = (found.positions or 0) + keys.whole("type_vocab_size", 2, least=0)
    return msgspec.structs.replace(
        found,
        stacks=(
            msgspec.structs.replace(
                stack, bottleneck=inner, head_dim=inner // stack.heads, feed_forwards=feeds
            ),
        ),
        embedding_width=seen,
        learned_positions=True,
        embedding_parameters=found.embedding_parameters + rows * stack.hidden,
        parameters=found.parameters + rows * stack.hidden,
    )


COMPACT: Final[Readers] = {
    "albert": albert,
    "mobilebert": mobilebert,
}
