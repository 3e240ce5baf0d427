"""Detectors after DETR behind a ResNet: Conditional DETR, DAB-DETR, Deformable DETR.

In: the config of one family. Out: its architecture, counted at the size that DETR was published
with. Deformable attention looks at a few points a level, so its products are operators here.
"""

from typing import Final

import msgspec

from deployopt.core.architecture import Architecture, Stack
from deployopt.core.plan import Operation
from deployopt.planning.architectures.counts import bert_layer, box_head, linear
from deployopt.planning.architectures.detectors import BOX, IMAGE, backbone, box_operations, half
from deployopt.planning.architectures.heads import head_of
from deployopt.planning.architectures.keys import HEADS, Keys, Readers
from deployopt.planning.architectures.net import Convolution, Net, convolved
from deployopt.planning.architectures.patches import sides
from deployopt.planning.architectures.residual import resnet_body
from deployopt.planning.operations.counting import gemm, merged

_WIDTHS: Final = (256, 512, 1024, 2048)
_QUERIES: Final = 1 << 16
_LEVELS: Final = 16


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """The image up to the first layer, and the sizes of both halves."""

    net: Net
    encoder: Stack
    decoder: Stack
    queries: int
    height: int
    width: int

    @property
    def hidden(self) -> int:
        """The layers' width."""
        return self.encoder.hidden


def _body(keys: Keys, *, ffn: int) -> Body:
    hidden = keys.whole("d_model", 256)
    queries = keys.whole("num_queries", 300, most=_QUERIES)
    height, width = sides(keys, "image_size", 0) if keys.has("image_size") else IMAGE
    net = Net(channels=keys.whole("num_channels", 3), height=height, width=width, frozen=True)
    net = resnet_body(backbone(keys), net)
    sized = keys
    for name in ("encoder_ffn_dim", "decoder_ffn_dim"):
        if not keys.has(name):
            sized = msgspec.structs.replace(sized, values={**sized.values, name: ffn})
    return Body(
        net=net,
        encoder=half(sized, "encoder", hidden, net.height * net.width),
        decoder=msgspec.structs.replace(half(sized, "decoder", hidden, queries), cross=True),
        queries=queries,
        height=height,
        width=width,
    )


def _labels(keys: Keys) -> int | None:
    """Classes of the head; None without one."""
    return keys.labels() if head_of(keys, "base") == "detect" else None


def _found(
    keys: Keys, body: Body, parameters: int, extra: tuple[Operation, ...] = ()
) -> Architecture:
    labels = _labels(keys)
    boxes = box_operations(labels, body.hidden, body.queries) if labels is not None else ()
    return Architecture(
        model_type=keys.text("model_type"),
        stacks=(body.encoder, body.decoder),
        operations=(*merged(body.net.operations), *extra, *boxes),
        activations=body.net.peak,
        labels=labels or 0,
        image_size=body.height,
        parameters=parameters,
        basis=f"counted for an image of {body.height} x {body.width}",
    )


def _split_layer(hidden: int, ffn: int) -> int:
    """A decoder's layer that keeps contents and positions apart, without the first one's extra."""
    return 12 * linear(hidden, hidden) + linear(hidden, ffn) + linear(ffn, hidden) + 6 * hidden


def conditional(keys: Keys) -> Architecture:
    """Conditional DETR."""
    body = _body(keys, ffn=2048)
    body = msgspec.structs.replace(body, net=_narrowed(body))
    hidden = body.hidden
    own = body.net.parameters + body.queries * hidden
    own += body.encoder.layers * bert_layer(hidden, body.encoder.ffn)
    own += body.decoder.layers * _split_layer(hidden, body.decoder.ffn)
    own += linear(hidden, hidden) + 2 * hidden
    own += 3 * linear(hidden, hidden) + linear(hidden, 2)
    labels = _labels(keys)
    own += 0 if labels is None else linear(hidden, labels) + box_head(hidden, BOX)
    return _found(keys, body, own)


def _narrowed(body: Body) -> Net:
    return convolved(body.net, Convolution(channels=body.hidden, bias=True, normed=False))


def dab(keys: Keys) -> Architecture:
    """DAB-DETR: queries are boxes."""
    named = keys.named(d_model=("hidden_size", "d_model"))
    body = _body(named, ffn=2048)
    body = msgspec.structs.replace(body, net=_narrowed(body))
    hidden = body.hidden
    learned = 1 if keys.text("activation_function", "prelu") == "prelu" else 0
    dimensions = keys.whole("query_dim", BOX, least=BOX, most=BOX)
    own = body.net.parameters + body.queries * dimensions + 2 * linear(hidden, hidden)
    own += body.encoder.layers * (bert_layer(hidden, body.encoder.ffn) + learned)
    own += body.decoder.layers * (_split_layer(hidden, body.decoder.ffn) + learned)
    own += linear(hidden, hidden) + 2 * hidden + 2 * linear(hidden, hidden)
    own += linear(2 * hidden, hidden) + linear(hidden, hidden)
    own += linear(hidden, hidden) + linear(hidden, 2) + box_head(hidden, BOX)
    labels = _labels(keys)
    own += 0 if labels is None else linear(hidden, labels)
    return _found(keys, body, own)


def deformable(keys: Keys) -> Architecture:
    """Deformable DETR, with boxes refined and in two stages where the config says so."""
    body = _body(keys, ffn=1024)
    hidden = body.hidden
    levels = keys.whole("num_feature_levels", 4, most=_LEVELS)
    projections, tokens = _pyramid(keys, body, levels)
    near, far = (keys.whole(f"{name}_n_points", 4, most=HEADS) for name in ("encoder", "decoder"))
    encoder = msgspec.structs.replace(
        body.encoder, tokens=tokens, window=levels * near, window_layers=body.encoder.layers
    )
    decoder = msgspec.structs.replace(body.decoder, cross=False)
    own = body.net.parameters + sum(int(o.weights) for o in projections) + 3 * hidden * levels
    own += levels * hidden
    looked = sampling(hidden, encoder.heads, levels * near)
    own += encoder.layers * bert_layer(hidden, encoder.ffn, attention=looked)
    own += decoder.layers * deformed_layer(decoder, levels * far)
    refined = keys.flag("with_box_refine", default=False)
    staged = keys.flag("two_stage", default=False)
    if staged:
        own += linear(hidden, hidden) + 2 * hidden + linear(2 * hidden, 2 * hidden) + 4 * hidden
    else:
        own += body.queries * 2 * hidden + linear(hidden, 2)
    labels = _labels(keys)
    if labels is not None:
        # Without a second stage all layers have one classifier.
        boxes = (decoder.layers + (1 if staged else 0)) if refined else 1
        classes = boxes if staged else 1
        own += classes * linear(hidden, labels) + boxes * box_head(hidden, BOX)
    body = msgspec.structs.replace(body, encoder=encoder, decoder=decoder)
    across = cross_operations(decoder, tokens, levels * far)
    return _found(keys, body, own, (*projections, *across))


def sampling(hidden: int, heads: int, points: int) -> int:
    """Deformable attention: where to look, how much, what is there, what becomes of it."""
    return (
        linear(hidden, 2 * heads * points)
        + linear(hidden, heads * points)
        + 2 * linear(hidden, hidden)
    )


def deformed_layer(stack: Stack, points: int) -> int:
    """A decoder's layer with deformable attention to the image."""
    plain = bert_layer(stack.hidden, stack.ffn)
    return plain + sampling(stack.hidden, stack.heads, points) + 2 * stack.hidden


def cross_operations(stack: Stack, tokens: int, points: int) -> tuple[Operation, ...]:
    """Of all layers: values of every place of the image, and the queries' own products."""
    hidden, queries = stack.hidden, stack.tokens or 1
    values = gemm(tokens, hidden, hidden, stack.layers)
    return (
        msgspec.structs.replace(values, kind="conv1x1"),
        gemm(queries, hidden, 3 * stack.heads * points, stack.layers),
        gemm(queries, hidden, hidden, stack.layers),
    )


def _pyramid(keys: Keys, body: Body, levels: int) -> tuple[tuple[Operation, ...], int]:
    """The convolutions that bring each plane to the layers' width, and their places in all."""
    widths = backbone(keys).wholes("hidden_sizes", _WIDTHS)
    taken = min(3, levels, len(widths)) if levels > 1 else 1
    found, tokens, hidden = [], 0, body.hidden
    for level in range(levels):
        stride = 2 ** (6 - taken + level)
        places = -(-body.height // stride) * -(-body.width // stride)
        behind = level - taken
        before = widths[len(widths) - taken + level] if behind < 0 else widths[-1]
        before = hidden if behind > 0 else before
        operation = gemm(places, before * (9 if behind >= 0 else 1), hidden)
        kind = "conv" if behind >= 0 else "conv1x1"
        found.append(msgspec.structs.replace(operation, kind=kind))
        tokens += places
    return tuple(found), tokens


QUERIES: Final[Readers] = {
    "conditional_detr": conditional,
    "dab-detr": dab,
    "deformable_detr": deformable,
}
