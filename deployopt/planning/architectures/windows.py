"""Vision transformers that shrink their plane stage by stage: Swin and SegFormer.

In: the config of one family. Out: an architecture with a stack for each stage; what lies between
the stages are operators.
"""

from typing import Final

import msgspec

from deployopt.core.architecture import Architecture, Stack
from deployopt.planning.architectures.counts import bert_layer, linear
from deployopt.planning.architectures.heads import head_of, heads_divide
from deployopt.planning.architectures.keys import HEADS, LAYERS, Keys, Readers
from deployopt.planning.architectures.net import (
    Convolution,
    Net,
    convolved,
    passed,
    repeated,
    started,
)
from deployopt.planning.operations.counting import gemm, merged

_STAGES: Final = 16
_SEGFORMER_IMAGE: Final = 512
"""Its config names no size; the models are published for this one."""


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """One stage's layers and how they look around: `keys` tokens seen by each."""

    layers: int
    hidden: int
    heads: int
    ffn: int
    tokens: int
    seen: int


def _stack(stage: Stage) -> Stack:
    return Stack(
        name="vision",
        layers=stage.layers,
        hidden=stage.hidden,
        heads=stage.heads,
        kv_heads=stage.heads,
        head_dim=stage.hidden // stage.heads,
        ffn=stage.ffn,
        tokens=stage.tokens,
        window=stage.seen if stage.seen < stage.tokens else None,
        window_layers=stage.layers if stage.seen < stage.tokens else 0,
    )


def swin(keys: Keys) -> Architecture:
    """Swin: attention inside windows; four neighbours merge between the stages."""
    net = started(keys)
    image, hidden = net.height, keys.whole("embed_dim", 96)
    depths = keys.wholes("depths", (2, 2, 6, 2), most=LAYERS)
    heads = keys.wholes("num_heads", (3, 6, 12, 24), most=HEADS)
    if len(depths) != len(heads) or len(depths) > _STAGES:
        raise keys.wrong("num_heads", f"as many entries as depths, at most {_STAGES},")
    patch = keys.whole("patch_size", 4, most=min(net.height, net.width))
    net = passed(
        convolved(
            net, Convolution(channels=hidden, kernel=patch, stride=patch, bias=True, normed=False)
        ),
        2,
        parameters=2 * hidden,
    )
    if keys.flag("use_absolute_embeddings", default=False):
        net = passed(net, 0, parameters=net.elements)
    stages: list[Stage] = []
    for depth, count in zip(depths, heads, strict=True):
        net = _merging(net) if stages else net
        stage, parameters = _swin_stage(keys, net, depth, count)
        net = passed(net, 0, parameters=parameters)
        stages.append(stage)
    net = passed(net, 2, parameters=2 * net.channels)
    return _assembled(keys, "swin", (net, image), stages)


def _swin_stage(keys: Keys, net: Net, depth: int, heads: int) -> tuple[Stage, int]:
    hidden = net.channels
    heads_divide(keys, hidden, heads)
    ratio = keys.number("mlp_ratio", 4, least=0.01, most=100)
    window = keys.whole("window_size", 7, most=1 << 10)
    ffn = max(1, int(hidden * ratio))
    bias = keys.flag("qkv_bias", default=True)
    attention = linear(hidden, 3 * hidden, bias=bias) + linear(hidden, hidden)
    attention += (2 * window - 1) ** 2 * heads
    stage = Stage(
        layers=depth,
        hidden=hidden,
        heads=heads,
        ffn=ffn,
        tokens=net.height * net.width,
        seen=window * window,
    )
    return stage, depth * bert_layer(hidden, ffn, attention=attention)


def _merging(net: Net) -> Net:
    """Four neighbours side by side, a norm, and half as many channels."""
    beside = msgspec.structs.replace(
        net,
        channels=4 * net.channels,
        height=-(-net.height // 2),
        width=-(-net.width // 2),
    )
    normed = passed(beside, 2, parameters=2 * beside.channels)
    return convolved(normed, Convolution(channels=2 * net.channels, normed=False))


def _assembled(
    keys: Keys, model_type: str, reached: tuple[Net, int], stages: list[Stage]
) -> Architecture:
    net, image = reached
    labels = keys.labels() if head_of(keys, "base") == "classify" else 0
    head = (gemm(1, net.channels, labels),) if labels else ()
    return Architecture(
        model_type=model_type,
        stacks=tuple(_stack(stage) for stage in stages),
        operations=(*merged(net.operations), *head),
        activations=net.peak,
        labels=labels,
        image_size=image,
        parameters=net.parameters + (linear(net.channels, labels) if labels else 0),
        basis="",
    )


_MIX: Final[dict[str, tuple[int, ...]]] = {
    "depths": (2, 2, 2, 2),
    "hidden_sizes": (32, 64, 160, 256),
    "num_attention_heads": (1, 2, 5, 8),
    "mlp_ratios": (4, 4, 4, 4),
    "sr_ratios": (8, 4, 2, 1),
    "patch_sizes": (7, 3, 3, 3),
    "strides": (4, 2, 2, 2),
}


def segformer(keys: Keys) -> Architecture:
    """SegFormer: keys and values from a shrunken plane, a depthwise convolution in each layer."""
    lists = {name: keys.wholes(name, usual, most=1 << 20) for name, usual in _MIX.items()}
    blocks = keys.whole("num_encoder_blocks", 4, most=_STAGES)
    for name, found in lists.items():
        if len(found) != blocks or max(lists["depths"]) > LAYERS:
            raise keys.wrong(name, f"a list of {blocks} entries, num_encoder_blocks,")
    net = started(keys, _SEGFORMER_IMAGE)
    image = net.height
    stages: list[Stage] = []
    planes: list[Net] = []
    for sizes in zip(*lists.values(), strict=True):
        net, stage = _mix_stage(keys, net, sizes)
        stages.append(stage)
        planes.append(net)
    if head_of(keys, "base") != "segment":
        return _assembled(keys, "segformer", (net, image), stages)
    return _segmenting(keys, (net, image), planes, stages)


def _mix_stage(keys: Keys, net: Net, sizes: tuple[int, ...]) -> tuple[Net, Stage]:
    depth, hidden, heads, ratio, shrunk, patch, stride = sizes
    heads_divide(keys, hidden, heads)
    ffn = hidden * min(ratio, 100)
    net = convolved(
        net, Convolution(channels=hidden, kernel=patch, stride=stride, bias=True, normed=False)
    )
    net = passed(net, 2, parameters=2 * hidden)
    tokens = net.height * net.width
    wide = Convolution(channels=ffn, kernel=3, groups=ffn, bias=True, normed=False)
    small = Convolution(channels=hidden, kernel=shrunk, stride=shrunk, bias=True, normed=False)

    def beside(plane: Net) -> Net:
        """What a layer has besides attention and dense layers; the plane itself stays."""
        spread = convolved(msgspec.structs.replace(plane, channels=ffn), wide)
        spread = msgspec.structs.replace(spread, channels=hidden)
        return passed(convolved(spread, small), 2, parameters=2 * hidden) if shrunk > 1 else spread

    net = repeated(net, depth, beside)
    net = passed(net, 2, parameters=depth * bert_layer(hidden, ffn) + 2 * hidden)
    seen = max(1, tokens // (shrunk * shrunk))
    stage = Stage(layers=depth, hidden=hidden, heads=heads, ffn=ffn, tokens=tokens, seen=seen)
    return net, stage


def _segmenting(
    keys: Keys, reached: tuple[Net, int], planes: list[Net], stages: list[Stage]
) -> Architecture:
    """With the head that brings all stages to one width and size, and classifies every point."""
    net, image = reached
    width, labels = keys.whole("decoder_hidden_size", 256), keys.labels()
    first = planes[0]
    for plane in planes:
        at = msgspec.structs.replace(plane, parameters=0, operations=(), peak=0)
        net = _added(net, convolved(at, Convolution(channels=width, bias=True, normed=False)))
    joined = msgspec.structs.replace(
        first, channels=width * len(planes), parameters=0, operations=(), peak=0
    )
    fused = convolved(joined, Convolution(channels=width))
    net = _added(net, convolved(fused, Convolution(channels=labels, bias=True, normed=False)))
    found = _assembled(keys, "segformer", (net, image), stages)
    return msgspec.structs.replace(found, labels=labels)


def _added(net: Net, beside: Net) -> Net:
    return msgspec.structs.replace(
        net,
        parameters=net.parameters + beside.parameters,
        operations=net.operations + beside.operations,
        peak=max(net.peak, beside.peak),
    )


WINDOWS: Final[Readers] = {"swin": swin, "segformer": segformer}
