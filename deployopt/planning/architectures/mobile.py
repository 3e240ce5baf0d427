"""Convolution nets made small: MobileNet 1 and 2, EfficientNet.

In: the config of one family. Out: its architecture, all of it operators of one image.
"""

import math
from typing import Final

import msgspec

from deployopt.core.architecture import Architecture
from deployopt.planning.architectures.keys import LAYERS, Keys, Readers
from deployopt.planning.architectures.net import (
    Convolution,
    Net,
    convolved,
    finished,
    passed,
    repeated,
    squeezed,
    started,
)

_MOST_WIDER: Final = 100.0
_V1_STRIDES: Final = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
_V2_CHANNELS: Final = (16, 24, 24, 32, 32, 32, 64, 64, 64, 64, 96, 96, 96, 160, 160, 160, 320)
_V2_STRIDES: Final = (2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1)
_LAST: Final = 1280
_SWISH: Final = 4
"""Reads and writes of an activation that is no part of the convolution."""


def divisible(value: float, divisor: int, least: int) -> int:
    """The nearest multiple of `divisor` that is not more than 10 % below."""
    near = max(least, int(value + divisor / 2) // divisor * divisor)
    return near + divisor if near < 0.9 * value else near


def mobilenet_v1(keys: Keys) -> Architecture:
    """MobileNet 1: depthwise and pointwise convolutions in turn."""
    wider = keys.number("depth_multiplier", 1.0, least=0.01, most=_MOST_WIDER)
    least = keys.whole("min_depth", 8)
    net = started(keys)
    image = (net.height, net.width)
    depth = 32
    width = max(int(depth * wider), least)
    net = convolved(net, Convolution(channels=width, kernel=3, stride=2))
    for layer, stride in enumerate(_V1_STRIDES):
        deep = Convolution(channels=width, kernel=3, stride=stride, groups=width)
        if stride > 1 or layer == 0:
            depth *= 2
            width = max(int(depth * wider), least)
        net = convolved(convolved(net, deep), Convolution(channels=width))
    return finished(keys, "mobilenet_v1", net, image=image)


class _V2(msgspec.Struct, frozen=True, kw_only=True):
    """MobileNet 2's rule for channels."""

    wider: float
    divisor: int
    least: int
    expansion: float

    def channels(self, count: float) -> int:
        return divisible(round(count * self.wider), self.divisor, self.least)

    def expanded(self, channels: int) -> int:
        return divisible(round(channels * self.expansion), self.divisor, self.least)


def mobilenet_v2(keys: Keys) -> Architecture:
    """MobileNet 2: inverted residuals."""
    rule = _V2(
        wider=keys.number("depth_multiplier", 1.0, least=0.01, most=_MOST_WIDER),
        divisor=keys.whole("depth_divisible_by", 8),
        least=keys.whole("min_depth", 8),
        expansion=keys.number("expand_ratio", 6.0, least=0.01, most=_MOST_WIDER),
    )
    net = started(keys)
    image = (net.height, net.width)
    net = _v2_stem(keys, net, rule)
    reached, widest = 2, keys.whole("output_stride", 32)
    for wanted, channels in zip(_V2_STRIDES, _V2_CHANNELS[1:], strict=True):
        stride = 1 if reached == widest else wanted
        reached *= stride
        net = _inverted(net, rule.expanded(net.channels), rule.channels(channels), stride)
    fine = keys.flag("finegrained_output", default=True) and rule.wider < 1
    net = convolved(net, Convolution(channels=_LAST if fine else rule.channels(_LAST)))
    return finished(keys, "mobilenet_v2", net, image=image)


def _v2_stem(keys: Keys, net: Net, rule: _V2) -> Net:
    width = rule.channels(32)
    net = convolved(net, Convolution(channels=width, kernel=3, stride=2))
    if not keys.flag("first_layer_is_expansion", default=True):
        net = convolved(net, Convolution(channels=width))
    net = convolved(net, Convolution(channels=width, kernel=3, groups=width))
    return convolved(net, Convolution(channels=rule.channels(_V2_CHANNELS[0])))


def _inverted(net: Net, wide: int, out: int, stride: int) -> Net:
    same = stride == 1 and net.channels == out
    net = convolved(net, Convolution(channels=wide))
    net = convolved(net, Convolution(channels=wide, kernel=3, stride=stride, groups=wide))
    net = convolved(net, Convolution(channels=out))
    return passed(net, 3) if same else net


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """One of EfficientNet's: blocks of one kind, the first of which may shrink the plane."""

    inner: int
    outer: int
    kernel: int
    stride: int
    expansion: int
    blocks: int


_B0: Final[dict[str, tuple[int, ...]]] = {
    "in_channels": (32, 16, 24, 40, 80, 112, 192),
    "out_channels": (16, 24, 40, 80, 112, 192, 320),
    "kernel_sizes": (3, 3, 5, 3, 5, 5, 3),
    "strides": (1, 2, 2, 2, 1, 2, 1),
    "expand_ratios": (1, 6, 6, 6, 6, 6, 6),
    "num_block_repeats": (1, 2, 2, 3, 3, 4, 1),
}


def efficientnet(keys: Keys) -> Architecture:
    """EfficientNet B0 to B7: MobileNet 2's blocks with squeeze and excitation."""
    wider = keys.number("width_coefficient", 2.0, least=0.01, most=_MOST_WIDER)
    divisor = keys.whole("depth_divisor", 8)
    share = keys.number("squeeze_expansion_ratio", 0.25, least=0, most=_MOST_WIDER)
    last = keys.whole("hidden_dim", 2560)
    net = started(keys, 600)
    image = (net.height, net.width)
    stem = Convolution(channels=divisible(32 * wider, divisor, divisor), kernel=3, stride=2)
    net = passed(convolved(net, stem), _SWISH)
    for stage in efficient_stages(keys, wider, divisor):
        net = _efficient_stage(net, stage, share)
    top = Convolution(channels=divisible(_LAST * wider, divisor, divisor), normed=False)
    net = passed(convolved(net, top), _SWISH, parameters=2 * last)
    return finished(keys, "efficientnet", net, image=image)


def efficient_stages(keys: Keys, wider: float, divisor: int) -> tuple[Stage, ...]:
    """The stages, widened and deepened as the config says."""
    deeper = keys.number("depth_coefficient", 3.1, least=0.01, most=_MOST_WIDER)
    lists = {name: keys.wholes(name, usual, most=LAYERS) for name, usual in _B0.items()}
    count = len(lists["in_channels"])
    for name, found in lists.items():
        if len(found) != count or count > LAYERS:
            raise keys.wrong(name, f"a list of {min(count, LAYERS)} entries, like in_channels,")
    return tuple(
        Stage(
            inner=divisible(inner * wider, divisor, divisor),
            outer=divisible(outer * wider, divisor, divisor),
            kernel=kernel,
            stride=stride,
            expansion=expansion,
            blocks=math.ceil(deeper * blocks),
        )
        for inner, outer, kernel, stride, expansion, blocks in zip(*lists.values(), strict=True)
    )


def _efficient_stage(net: Net, stage: Stage, share: float) -> Net:
    net = _efficient_block(net, stage, stage.stride, share)
    if stage.blocks == 1:
        return net

    def block(plane: Net) -> Net:
        return passed(_efficient_block(plane, stage, 1, share), 3)

    return repeated(net, stage.blocks - 1, block)


def _efficient_block(net: Net, stage: Stage, stride: int, share: float) -> Net:
    inner = max(1, int(net.channels * share))
    wide = net.channels * stage.expansion
    if stage.expansion > 1:
        net = passed(convolved(net, Convolution(channels=wide)), _SWISH)
    deep = Convolution(channels=wide, kernel=stage.kernel, stride=stride, groups=wide)
    net = squeezed(passed(convolved(net, deep), _SWISH), inner)
    return convolved(net, Convolution(channels=stage.outer))


MOBILE: Final[Readers] = {
    "mobilenet_v1": mobilenet_v1,
    "mobilenet_v2": mobilenet_v2,
    "efficientnet": efficientnet,
}
