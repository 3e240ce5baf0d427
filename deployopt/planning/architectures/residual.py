"""Residual convolution nets: ResNet, RegNet, ConvNeXt.

In: the config of one family. Out: its architecture, all of it operators of one image.
"""

from typing import Final

from deployopt.core.architecture import Architecture
from deployopt.planning.architectures.keys import LAYERS, Keys, Readers
from deployopt.planning.architectures.net import (
    Convolution,
    Net,
    branched,
    convolved,
    finished,
    passed,
    pooled,
    repeated,
    squeezed,
    started,
)

_BOTTLENECK: Final = 4
_STAGES: Final = 16
_GRN: Final = 8
"""ConvNeXt 2: a weight and a bias over four times the channels."""


def stages(
    keys: Keys, hidden: tuple[int, ...], depths: tuple[int, ...]
) -> tuple[tuple[int, int], ...]:
    """Channels and layers of each stage."""
    widths = keys.wholes("hidden_sizes", hidden)
    layers = keys.wholes("depths", depths, most=LAYERS)
    if len(widths) != len(layers) or len(widths) > _STAGES:
        raise keys.wrong("depths", f"as many entries as hidden_sizes, at most {_STAGES},")
    return tuple(zip(widths, layers, strict=True))


def resnet(keys: Keys) -> Architecture:
    """ResNet 18 to 152."""
    net = started(keys)
    image = (net.height, net.width)
    return finished(keys, "resnet", resnet_body(keys, net), image=image)


def resnet_body(keys: Keys, net: Net) -> Net:
    """Behind the last stage."""
    kind = keys.text("layer_type", "bottleneck")
    if kind not in {"basic", "bottleneck"}:
        raise keys.wrong("layer_type", "basic or bottleneck")
    early = keys.flag("downsample_in_bottleneck", default=False)
    first = 2 if keys.flag("downsample_in_first_stage", default=False) else 1
    stem = Convolution(channels=keys.whole("embedding_size", 64), kernel=7, stride=2)
    net = pooled(convolved(net, stem), 2)
    for stage, (width, depth) in enumerate(stages(keys, (256, 512, 1024, 2048), (3, 4, 6, 3))):
        stride = first if stage == 0 else 2
        net = _resnet_block(net, width, stride, kind=kind, early=early)

        def block(plane: Net, width: int = width) -> Net:
            return _resnet_block(plane, width, 1, kind=kind, early=early)

        net = repeated(net, depth - 1, block)
    return net


def _resnet_block(net: Net, width: int, stride: int, *, kind: str, early: bool) -> Net:
    path = resnet_path(width, stride, kind=kind, early=early)
    return branched(net, lambda plane: through(plane, path), _shortcut(net, width, stride))


def resnet_path(width: int, stride: int, *, kind: str, early: bool) -> tuple[Convolution, ...]:
    """The convolutions of one block; where `early`, a bottleneck takes the stride first."""
    inner = max(1, width // _BOTTLENECK)
    if kind == "basic":
        return (
            Convolution(channels=width, kernel=3, stride=stride),
            Convolution(channels=width, kernel=3),
        )
    return (
        Convolution(channels=inner, stride=stride if early else 1),
        Convolution(channels=inner, kernel=3, stride=1 if early else stride),
        Convolution(channels=width),
    )


def through(net: Net, path: tuple[Convolution, ...]) -> Net:
    """Behind all of them."""
    for convolution in path:
        net = convolved(net, convolution)
    return net


def _shortcut(net: Net, width: int, stride: int) -> Convolution | None:
    plain = net.channels == width and stride == 1
    return None if plain else Convolution(channels=width, stride=stride)


def regnet(keys: Keys) -> Architecture:
    """RegNet X and Y."""
    kind = keys.text("layer_type", "y")
    if kind not in {"x", "y"}:
        raise keys.wrong("layer_type", "x or y")
    group = keys.whole("groups_width", 64)
    first = 2 if keys.flag("downsample_in_first_stage", default=True) else 1
    net = started(keys)
    image = (net.height, net.width)
    stem = Convolution(channels=keys.whole("embedding_size", 32), kernel=3, stride=2)
    net = convolved(net, stem)
    for stage, (width, depth) in enumerate(stages(keys, (128, 192, 512, 1088), (2, 6, 12, 2))):
        if width % max(1, width // group):
            raise keys.wrong("hidden_sizes", "multiples of the groups")
        stride = first if stage == 0 else 2
        net = _regnet_block(net, width, stride, group=group, squeezes=kind == "y")

        def block(plane: Net, width: int = width) -> Net:
            return _regnet_block(plane, width, 1, group=group, squeezes=kind == "y")

        net = repeated(net, depth - 1, block)
    return finished(keys, "regnet", net, image=image)


def _regnet_block(net: Net, width: int, stride: int, *, group: int, squeezes: bool) -> Net:
    inner = max(1, round(net.channels / _BOTTLENECK))
    grouped = Convolution(channels=width, kernel=3, stride=stride, groups=max(1, width // group))

    def path(plane: Net) -> Net:
        plane = convolved(convolved(plane, Convolution(channels=width)), grouped)
        plane = squeezed(plane, inner) if squeezes else plane
        return convolved(plane, Convolution(channels=width))

    return branched(net, path, _shortcut(net, width, stride))


def convnext(keys: Keys) -> Architecture:
    """ConvNeXt 1 and 2: depthwise 7x7, a norm, two dense layers."""
    model_type = keys.text("model_type", "convnext")
    second = model_type == "convnextv2"
    scaled = keys.number("layer_scale_init_value", 1e-6, least=0, most=1e6) > 0 and not second
    net = started(keys)
    image = (net.height, net.width)
    patch = keys.whole("patch_size", 4, most=min(image))
    for stage, (width, depth) in enumerate(stages(keys, (96, 192, 384, 768), (3, 3, 9, 3))):
        net = _convnext_start(net, width, patch if stage == 0 else 2, first=stage == 0)

        def block(plane: Net, width: int = width) -> Net:
            return _convnext_block(plane, width, second=second, scaled=scaled)

        net = repeated(net, depth, block)
    net = passed(net, 0, parameters=2 * net.channels)
    return finished(keys, model_type, net, image=image)


def _convnext_start(net: Net, width: int, stride: int, *, first: bool) -> Net:
    """The stem, with its norm behind, or a stage's start, with its norm in front."""
    if not first:
        net = passed(net, 2, parameters=2 * net.channels)
    net = convolved(
        net, Convolution(channels=width, kernel=stride, stride=stride, bias=True, normed=False)
    )
    return passed(net, 2, parameters=2 * width) if first else net


def _convnext_block(net: Net, width: int, *, second: bool, scaled: bool) -> Net:
    deep = Convolution(channels=width, kernel=7, groups=width, bias=True, normed=False)
    wide = Convolution(channels=4 * width, bias=True, normed=False)
    narrow = Convolution(channels=width, bias=True, normed=False)

    def path(plane: Net) -> Net:
        plane = passed(convolved(plane, deep), 2, parameters=2 * width)
        plane = passed(convolved(plane, wide), 2, parameters=_GRN * width if second else 0)
        return convolved(plane, narrow)

    return passed(branched(net, path, None), 0, parameters=width if scaled else 0)


RESIDUAL: Final[Readers] = {
    "resnet": resnet,
    "regnet": regnet,
    "convnext": convnext,
    "convnextv2": convnext,
}
