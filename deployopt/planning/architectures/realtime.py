"""RT-DETR 1 and 2: a ResNet whose stem is deep, one encoder layer over its last plane, a pyramid
of convolutions, and queries that look at a few points.

In: the config. Out: its architecture, counted at 640 x 640.
"""  # noqa: D205 -- one long sentence

from typing import Final

import msgspec

from deployopt.core.architecture import Architecture, Stack
from deployopt.core.plan import Operation
from deployopt.planning.architectures.counts import bert_layer, box_head, linear
from deployopt.planning.architectures.detectors import BOX, box_operations, half
from deployopt.planning.architectures.heads import head_of, heads_divide
from deployopt.planning.architectures.keys import HEADS, LAYERS, Keys, Readers
from deployopt.planning.architectures.net import (
    Convolution,
    Net,
    branched,
    convolved,
    pooled,
    repeated,
)
from deployopt.planning.architectures.patches import sides
from deployopt.planning.architectures.queries import cross_operations, deformed_layer
from deployopt.planning.architectures.residual import resnet_path, stages, through
from deployopt.planning.operations.counting import gemm, merged

_IMAGE: Final = 640
_LEVELS: Final = 8
_BLOCKS: Final = 3
"""Bottlenecks in one block of the pyramid."""
_QUERIES: Final = 1 << 16


def _resnet(keys: Keys, net: Net) -> tuple[Net, tuple[Net, ...]]:
    """Behind the last stage, and the plane behind each."""
    kind = keys.text("layer_type", "bottleneck")
    if kind not in {"basic", "bottleneck"}:
        raise keys.wrong("layer_type", "basic or bottleneck")
    width = keys.whole("embedding_size", 64, least=2)
    for channels, stride in ((width // 2, 2), (width // 2, 1), (width, 1)):
        net = convolved(net, Convolution(channels=channels, kernel=3, stride=stride))
    net = pooled(net, 2)
    first = 2 if keys.flag("downsample_in_first_stage", default=False) else 1
    early = keys.flag("downsample_in_bottleneck", default=False)
    planes = []
    for stage, (width, depth) in enumerate(stages(keys, (256, 512, 1024, 2048), (3, 4, 6, 3))):
        stride = first if stage == 0 else 2
        net = _block(net, width, (stride, True), kind=kind, early=early)

        def block(plane: Net, width: int = width) -> Net:
            return _block(plane, width, (1, False), kind=kind, early=early)

        net = repeated(net, depth - 1, block)
        planes.append(net)
    return net, tuple(planes)


def _block(net: Net, width: int, start: tuple[int, bool], *, kind: str, early: bool) -> Net:
    stride, opens = start
    path = resnet_path(width, stride, kind=kind, early=early)
    turned = opens if kind == "basic" else net.channels != width or stride != 1
    beside = Convolution(channels=width, stride=stride) if turned else None

    return branched(net, lambda plane: through(plane, path), beside)


class Pyramid(msgspec.Struct, frozen=True, kw_only=True):
    """The planes of each level, brought to one width and mixed."""

    width: int
    parameters: int = 0
    operations: tuple[Operation, ...] = ()


def _normed(pyramid: Pyramid, places: int, inner: int, outer: int, kernel: int = 1) -> Pyramid:
    """A convolution with a norm, no bias."""
    operation = gemm(places, inner * kernel**2, outer)
    kind = "conv1x1" if kernel == 1 else "conv3x3"
    return msgspec.structs.replace(
        pyramid,
        parameters=pyramid.parameters + inner * kernel**2 * outer + 2 * outer,
        operations=(*pyramid.operations, msgspec.structs.replace(operation, kind=kind)),
    )


def _mixed(pyramid: Pyramid, places: int, inner: int) -> Pyramid:
    """Two ways for the planes of two levels: plain, and through bottlenecks."""
    width = pyramid.width
    for _ in range(2):
        pyramid = _normed(pyramid, places, 2 * width, inner)
    for _ in range(_BLOCKS):
        pyramid = _normed(pyramid, places, inner, inner, 3)
        pyramid = _normed(pyramid, places, inner, inner)
    return pyramid if inner == width else _normed(pyramid, places, inner, width)


def _encoder(keys: Keys, planes: tuple[Net, ...]) -> tuple[Pyramid, Stack]:
    width = keys.whole("encoder_hidden_dim", 256)
    inner = max(1, int(width * keys.number("hidden_expansion", 1, least=0.01, most=16)))
    places = [plane.height * plane.width for plane in planes]
    chosen = keys.wholes("encode_proj_layers", (2,), least=0, most=len(planes) - 1)
    heads = keys.whole("encoder_attention_heads", 8, most=HEADS)
    stack = Stack(
        name="vision",
        layers=keys.whole("encoder_layers", 1, most=LAYERS) * max(1, len(chosen)),
        hidden=width,
        heads=heads,
        kv_heads=heads,
        head_dim=heads_divide(keys, width, heads),
        ffn=keys.whole("encoder_ffn_dim", 1024),
        tokens=places[chosen[-1]] if chosen else places[-1],
    )
    pyramid = Pyramid(width=width, parameters=stack.layers * bert_layer(width, stack.ffn))
    for plane, count in zip(planes, places, strict=True):
        pyramid = _normed(pyramid, count, plane.channels, width)
    for level in range(len(planes) - 1):
        pyramid = _normed(pyramid, places[level + 1], width, width)
        pyramid = _mixed(pyramid, places[level], inner)
        pyramid = _normed(pyramid, places[level + 1], width, width, 3)
        pyramid = _mixed(pyramid, places[level + 1], inner)
    return pyramid, stack


def rt_detr(keys: Keys) -> Architecture:
    """RT-DETR and its second version."""
    if keys.flag("use_timm_backbone", default=False):
        raise keys.wrong("use_timm_backbone", "false")
    frozen = keys.flag("freeze_backbone_batch_norms", default=True)
    height, width = sides(keys, "image_size", 0) if keys.has("image_size") else (_IMAGE, _IMAGE)
    described = keys.part("backbone_config") or Keys(values={})
    if described.text("model_type", "rt_detr_resnet") != "rt_detr_resnet":
        raise described.wrong("model_type", "rt_detr_resnet")
    net, planes = _resnet(described, Net(channels=3, height=height, width=width, frozen=frozen))
    taken = len(keys.wholes("encoder_in_channels", (512, 1024, 2048)))
    planes = planes[-taken:]
    pyramid, encoder = _encoder(keys, planes)
    hidden, queries = keys.whole("d_model", 256), keys.whole("num_queries", 300, most=_QUERIES)
    levels = keys.whole("num_feature_levels", 3, most=_LEVELS)
    points = levels * keys.whole("decoder_n_points", 4, most=HEADS)
    sized = keys if keys.has("decoder_ffn_dim") else _with_ffn(keys)
    decoder = half(sized, "decoder", hidden, queries)
    pyramid = _levels(keys, pyramid, planes, (hidden, levels))
    own = net.parameters + pyramid.parameters + _start(keys, hidden, queries)
    own += decoder.layers * deformed_layer(decoder, points)
    detects = head_of(keys, "base") == "detect"
    labels = keys.labels()
    own += decoder.layers * (linear(hidden, labels) + box_head(hidden, BOX)) if detects else 0
    places = sum(plane.height * plane.width for plane in planes)
    return Architecture(
        model_type=keys.text("model_type", "rt_detr"),
        stacks=(encoder, decoder),
        operations=(
            *merged(net.operations),
            *pyramid.operations,
            *cross_operations(decoder, places, points),
            *(box_operations(labels, hidden, queries) if detects else ()),
        ),
        activations=net.peak,
        labels=labels if detects else 0,
        image_size=height,
        parameters=own,
        basis=f"counted for an image of {height} x {width}",
    )


def _with_ffn(keys: Keys) -> Keys:
    return msgspec.structs.replace(keys, values={**keys.values, "decoder_ffn_dim": 1024})


def _start(keys: Keys, hidden: int, queries: int) -> int:
    """What the queries are made from and chosen by."""
    labels = keys.labels()
    own = linear(hidden, hidden) + 2 * hidden + linear(hidden, labels) + box_head(hidden, BOX)
    own += linear(BOX, 2 * hidden) + linear(2 * hidden, hidden)
    own += (labels + 1) * hidden if keys.whole("num_denoising", 100, least=0) else 0
    return own + (queries * hidden if keys.flag("learn_initial_query", default=False) else 0)


def _levels(
    keys: Keys, pyramid: Pyramid, planes: tuple[Net, ...], sizes: tuple[int, int]
) -> Pyramid:
    """What brings each level to the decoder's width; further levels halve the last plane."""
    hidden, levels = sizes
    before = keys.wholes("decoder_in_channels", (256, 256, 256))
    last = planes[-1].height * planes[-1].width
    for level, width in enumerate(before):
        plane = planes[min(level, len(planes) - 1)]
        pyramid = _normed(pyramid, plane.height * plane.width, width, hidden)
    width = before[-1] if before else hidden
    for _ in range(levels - len(before)):
        last = max(1, last // 4)
        pyramid, width = _normed(pyramid, last, width, hidden, 3), hidden
    return pyramid


REALTIME: Final[Readers] = {"rt_detr": rt_detr, "rt_detr_v2": rt_detr}
