"""A convolution net while it is walked through: the plane it has reached and what it took so far.

A `Net` is a record; each function gives the next one. Norms are folded into the convolutions for
the operators, as runtimes do, and counted in the parameters.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from deployopt.core.architecture import Architecture
from deployopt.core.plan import Operation
from deployopt.planning.architectures.counts import linear
from deployopt.planning.architectures.heads import head_of
from deployopt.planning.architectures.keys import Keys
from deployopt.planning.architectures.patches import sides
from deployopt.planning.operations.counting import elementwise, gemm, merged

LABELS: Final = 1000
_THREE: Final = 3


class Net(msgspec.Struct, frozen=True, kw_only=True):
    """`peak` are the elements of the largest input and output of one operator together."""

    channels: int
    height: int
    width: int
    parameters: int = 0
    operations: tuple[Operation, ...] = ()
    peak: int = 0
    frozen: bool = False
    """Norms are constants, as in detectors' backbones, and no parameters."""

    @property
    def elements(self) -> int:
        """Values of the plane."""
        return self.channels * self.height * self.width


class Convolution(msgspec.Struct, frozen=True, kw_only=True):
    """One convolution with same-size padding, by default with a norm and without a bias."""

    channels: int
    kernel: int = 1
    stride: int = 1
    groups: int = 1
    bias: bool = False
    normed: bool = True


def started(keys: Keys, image: int = 224) -> Net:
    """The image that a config is for."""
    height, width = sides(keys, "image_size", image)
    return Net(channels=keys.whole("num_channels", 3), height=height, width=width)


def convolved(net: Net, convolution: Convolution) -> Net:
    """Behind the convolution."""
    outer = convolution.channels
    height, width = -(-net.height // convolution.stride), -(-net.width // convolution.stride)
    weights = convolution.kernel**2 * (net.channels // convolution.groups) * outer
    made = outer * height * width
    operation = Operation(
        kind=_kind(net, convolution),
        macs=weights * height * width,
        weights=weights + outer,
        activations=net.elements + made,
    )
    extra = outer if convolution.bias else 0
    extra += 2 * outer if convolution.normed and not net.frozen else 0
    return msgspec.structs.replace(
        net,
        channels=outer,
        height=height,
        width=width,
        parameters=net.parameters + weights + extra,
        operations=(*net.operations, operation),
        peak=max(net.peak, net.elements + made),
    )


def _kind(net: Net, convolution: Convolution) -> str:
    if convolution.groups > 1:
        return "depthwise" if convolution.groups == net.channels else "conv"
    if convolution.kernel == 1:
        return "conv1x1"
    plain = convolution.kernel == _THREE and convolution.stride == 1
    return "conv3x3" if plain else "conv"


def passed(net: Net, times: int, *, parameters: int = 0) -> Net:
    """Behind element-wise work that touches the plane `times` (a read and a write are two)."""
    return msgspec.structs.replace(
        net,
        parameters=net.parameters + parameters,
        operations=(*net.operations, elementwise(times * net.elements)),
    )


def pooled(net: Net, stride: int) -> Net:
    """Behind a pooling with this stride."""
    height, width = -(-net.height // stride), -(-net.width // stride)
    made = net.channels * height * width
    return msgspec.structs.replace(
        net,
        height=height,
        width=width,
        operations=(*net.operations, elementwise(net.elements + made)),
    )


def squeezed(net: Net, inner: int) -> Net:
    """Behind a squeeze and excitation: pooled, two dense layers with biases, multiplied."""
    outer = net.channels
    return msgspec.structs.replace(
        net,
        parameters=net.parameters + linear(outer, inner) + linear(inner, outer),
        operations=(
            *net.operations,
            elementwise(net.elements),
            _on_one(outer, inner),
            _on_one(inner, outer),
            elementwise(2 * net.elements),
        ),
    )


def _on_one(inner: int, outer: int) -> Operation:
    operation = gemm(1, inner, outer)
    return msgspec.structs.replace(operation, kind="conv1x1", weights=inner * outer + outer)


def branched(net: Net, path: Callable[[Net], Net], shortcut: Convolution | None) -> Net:
    """Behind a path whose result is added to its input, or to a convolution of it."""
    through = path(net)
    if shortcut is None:
        return passed(through, 3)
    beside = convolved(_emptied(net), shortcut)
    return passed(
        msgspec.structs.replace(
            through,
            parameters=through.parameters + beside.parameters,
            operations=through.operations + beside.operations,
            peak=max(through.peak, beside.peak),
        ),
        3,
    )


def repeated(net: Net, times: int, block: Callable[[Net], Net]) -> Net:
    """Behind `times` equal blocks that keep the plane's size; one is counted, then multiplied."""
    if not times:
        return net
    one = block(_emptied(net))
    counted = tuple(
        msgspec.structs.replace(operation, count=operation.count * times)
        for operation in one.operations
    )
    return msgspec.structs.replace(
        net,
        parameters=net.parameters + times * one.parameters,
        operations=net.operations + counted,
        peak=max(net.peak, one.peak),
    )


def _emptied(net: Net) -> Net:
    return msgspec.structs.replace(net, parameters=0, operations=(), peak=0)


def finished(keys: Keys, model_type: str, net: Net, *, image: tuple[int, int]) -> Architecture:
    """With a global pooling, and a classifier where the config names one."""
    classes = head_of(keys, "base") == "classify"
    labels = keys.labels() if classes else 0
    end = (elementwise(net.elements + net.channels),)
    head = (gemm(1, net.channels, labels),) if labels else ()
    return Architecture(
        model_type=model_type,
        operations=(*merged(net.operations), *end, *head),
        activations=net.peak,
        labels=labels,
        image_size=image[0],
        parameters=net.parameters + (linear(net.channels, labels) if labels else 0),
        basis="",
    )
