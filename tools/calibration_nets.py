"""The networks behind make_calibration_models.py: single operators in chains, and small models."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET, IR = 17, 8
FLOAT: Final = TensorProto.FLOAT


class Net:
    """A graph in the making: every method adds a layer and returns the name of its value."""

    def __init__(self, *shape: int) -> None:
        self.inputs = [helper.make_tensor_value_info("x", FLOAT, shape)]
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def add(self, op_type: str, *inputs: str, **attributes: object) -> str:
        """One node."""
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op_type, inputs, [name], f"n{name}", **attributes))
        return name

    def weight(self, *shape: int, value: float | None = None) -> str:
        """Random ones, so that quantization has something to look at; none above 2 / fan-in."""
        name = f"w{len(self.weights)}"
        chance = np.random.default_rng(len(self.weights))
        fan_in = int(np.prod(shape[1:])) if len(shape) == 4 else shape[0]  # noqa: PLR2004 -- OIHW
        made = chance.uniform(0, 2 / fan_in, shape) if value is None else np.full(shape, value)
        self.weights.append(numpy_helper.from_array(made.astype(np.float32), name))
        return name

    def whole(self, *values: int) -> str:
        """A tensor of whole numbers, such as a shape."""
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.array(values, np.int64), name))
        return name

    def linear(self, x: str, inner: int, outer: int) -> str:
        """A product with weights, and a bias."""
        product = self.add("MatMul", x, self.weight(inner, outer))
        return self.add("Add", product, self.weight(outer, value=0.1))

    def conv(self, x: str, channels: tuple[int, int], kernel: int = 1, **more: int) -> str:
        """`more` is stride and group."""
        inner, outer = channels
        stride, group = more.get("stride", 1), more.get("group", 1)
        return self.add(
            "Conv",
            x,
            self.weight(outer, inner // group, kernel, kernel),
            self.weight(outer, value=0.1),
            kernel_shape=[kernel, kernel],
            pads=[kernel // 2] * 4,
            strides=[stride, stride],
            group=group,
        )

    def conv_relu(self, x: str, channels: tuple[int, int], kernel: int = 1, **more: int) -> str:
        """The same, clipped at zero."""
        return self.add("Relu", self.conv(x, channels, kernel, **more))

    def gelu(self, x: str) -> str:
        """As exporters write it."""
        scaled = self.add("Div", x, self.weight(1, value=1.4142135))
        moved = self.add("Add", self.add("Erf", scaled), self.weight(1, value=1.0))
        return self.add("Mul", self.add("Mul", x, moved), self.weight(1, value=0.5))

    def normed(self, x: str, width: int) -> str:
        """A layer norm."""
        ones, zeros = self.weight(width, value=1.0), self.weight(width, value=0.0)
        return self.add("LayerNormalization", x, ones, zeros, axis=-1, epsilon=1e-5)

    def heads(self, x: str, heads: int, size: int, order: Sequence[int]) -> str:
        """Split the width into heads and turn the axes."""
        split = self.add("Reshape", x, self.whole(1, -1, heads, size))
        return self.add("Transpose", split, perm=order)

    def encoder(self, x: str, hidden: int, heads: int, ffn: int) -> str:
        """One layer of BERT."""
        size = hidden // heads
        query, key, value = (
            self.heads(self.linear(x, hidden, hidden), heads, size, order)
            for order in ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3])
        )
        scores = self.add("Div", self.add("MatMul", query, key), self.weight(1, value=size**0.5))
        mixed = self.add("MatMul", self.add("Softmax", scores, axis=-1), value)
        joined = self.add("Transpose", mixed, perm=[0, 2, 1, 3])
        joined = self.add("Reshape", joined, self.whole(1, -1, hidden))
        x = self.normed(self.add("Add", self.linear(joined, hidden, hidden), x), hidden)
        fed = self.linear(self.gelu(self.linear(x, hidden, ffn)), ffn, hidden)
        return self.normed(self.add("Add", fed, x), hidden)

    def inverted(self, x: str, channels: tuple[int, int], stride: int, grow: int = 6) -> str:
        """A block of MobileNet-v2."""
        inner, outer = channels
        wide = inner * grow
        grown = self.conv_relu(x, (inner, wide))
        mixed = self.conv_relu(grown, (wide, wide), 3, stride=stride, group=wide)
        made = self.conv(mixed, (wide, outer))
        return self.add("Add", made, x) if stride == 1 and inner == outer else made

    def basic(self, x: str, channels: tuple[int, int], stride: int) -> str:
        """A block of ResNet-18."""
        inner, outer = channels
        made = self.conv_relu(x, channels, 3, stride=stride)
        made = self.conv(made, (outer, outer), 3)
        past = x if stride == 1 and inner == outer else self.conv(x, channels, stride=stride)
        return self.add("Relu", self.add("Add", made, past))

    def bottleneck(self, x: str, channels: tuple[int, int], stride: int = 1) -> str:
        """A block of ResNet-50."""
        inner, outer = channels
        wide = outer // 4
        made = self.conv_relu(x, (inner, wide))
        made = self.conv_relu(made, (wide, wide), 3, stride=stride)
        made = self.conv(made, (wide, outer))
        past = x if stride == 1 and inner == outer else self.conv(x, channels, stride=stride)
        return self.add("Relu", self.add("Add", made, past))

    def silu(self, x: str, channels: tuple[int, int], kernel: int, stride: int = 1) -> str:
        """A convolution as detectors have them."""
        made = self.conv(x, channels, kernel, stride=stride)
        return self.add("Mul", made, self.add("Sigmoid", made))

    def headed(self, x: str, channels: int, classes: int) -> str:
        """A mean over the plane and a linear layer."""
        pooled = self.add("Flatten", self.add("GlobalAveragePool", x))
        weight, bias = self.weight(classes, channels), self.weight(classes, value=0.0)
        return self.add("Gemm", pooled, weight, bias, transB=1)

    def model(self, result: str) -> onnx.ModelProto:
        """All layers so far, giving this value."""
        output = helper.make_tensor_value_info(result, FLOAT, None)
        graph = helper.make_graph(self.nodes, "g", self.inputs, [output], self.weights)
        stamps = [helper.make_opsetid("", OPSET)]
        made = helper.make_model(graph, opset_imports=stamps, ir_version=IR)
        return onnx.shape_inference.infer_shapes(made)


def products(rows: int, *widths: int) -> onnx.ModelProto:
    """Linear layers one behind the other."""
    net = Net(rows, widths[0])
    x = "x"
    for inner, outer in pairwise(widths):
        x = net.linear(x, inner, outer)
    return net.model(x)


def scores(heads: int, tokens: int, size: int, count: int) -> onnx.ModelProto:
    """Products of activations, as in attention."""
    net = Net(1, heads, tokens, size)
    x = "x"
    turned = net.add("Transpose", "x", perm=[0, 1, 3, 2])
    for _ in range(count):
        x = net.add("MatMul", net.add("MatMul", x, turned), "x")
    return net.model(x)


def convolutions(
    side: int, channels: tuple[int, int], kernel: int, count: int, **more: int
) -> onnx.ModelProto:
    """Convolutions one behind the other; the first one may change the channels.

    They end in a mean, so that an int8 form does not pay for turning a whole plane into floats.
    """
    inner, outer = channels
    net = Net(1, inner, side, side)
    x = net.conv_relu("x", channels, kernel, **more)
    for _ in range(count - 1):
        x = net.conv_relu(x, (outer, outer), kernel, **more)
    return net.model(net.add("GlobalAveragePool", x))


def elementwise(count: int, *shape: int) -> onnx.ModelProto:
    """Sums and products in turn, which are not fused."""
    net = Net(*shape)
    x = "x"
    for step in range(count):
        x = net.add(("Add", "Mul")[step % 2], x, "x")
    return net.model(x)


def between_products(count: int, rows: int, width: int) -> onnx.ModelProto:
    """What a transformer does between its products: softmax, GELU, sum and norm."""
    net = Net(rows, width)
    x = "x"
    for _ in range(count):
        x = net.gelu(net.add("Softmax", x, axis=-1))
        x = net.normed(net.add("Add", x, "x"), width)
    return net.model(x)


def transformer(layers: int, tokens: int, hidden: int, ffn: int, heads: int) -> onnx.ModelProto:
    """Layers of BERT over values that are embedded already."""
    net = Net(1, tokens, hidden)
    x = "x"
    for _ in range(layers):
        x = net.encoder(x, hidden, heads, ffn)
    return net.model(x)


def mobile(side: int, blocks: Sequence[tuple[int, int, int]]) -> onnx.ModelProto:
    """A stem, blocks of MobileNet-v2 (channels, count, stride of the first), a head."""
    net = Net(1, 3, side, side)
    x, inner = net.conv_relu("x", (3, 16), 3, stride=2), 16
    for outer, count, stride in blocks:
        for step in range(count):
            x = net.inverted(x, (inner, outer), 1 if step else stride)
            inner = outer
    x = net.conv_relu(x, (inner, 640))
    return net.model(net.headed(x, 640, 100))


def residual(side: int, widths: Sequence[int], block: str) -> onnx.ModelProto:
    """A stem of 7 x 7, two blocks of each width, a head."""
    net = Net(1, 3, side, side)
    x, inner = net.conv_relu("x", (3, 32), 7, stride=2), 32
    for place, outer in enumerate(widths):
        for step in range(2):
            stride = 2 if place and not step else 1
            x = getattr(net, block)(x, (inner, outer), stride)
            inner = outer
    return net.model(net.headed(x, inner, 100))


def detector(side: int) -> onnx.ModelProto:
    """Strided convolutions with SiLU, halves that go by another way, a head over the plane."""
    net = Net(1, 3, side, side)
    x, inner = net.silu("x", (3, 16), 3, 2), 16
    for outer in (32, 64, 128):
        x = net.silu(x, (inner, outer), 3, 2)
        half = outer // 2
        first, second = net.silu(x, (outer, half), 1), net.silu(x, (outer, half), 1)
        second = net.silu(net.silu(second, (half, half), 3), (half, half), 3)
        x, inner = net.add("Concat", first, second, axis=1), outer
    return net.model(net.conv(x, (inner, 84)))


OPERATORS: Final[dict[str, onnx.ModelProto]] = {
    "gemm-128-384": products(128, *[384] * 5),
    "gemm-128-768": products(128, 768, 3072, 768),
    "gemm-32-512": products(32, 512, 512, 512, 512, 512),
    "gemm-8-1024": products(8, 1024, 1024, 1024),
    "gemm-1-1024": products(1, *[1024] * 5),
    "scores-12-128": scores(12, 128, 64, 2),
    "scores-8-32": scores(8, 32, 48, 4),
    "conv1x1-56": convolutions(56, (48, 48), 1, 6),
    "conv1x1-28": convolutions(28, (128, 128), 1, 6),
    "conv1x1-14": convolutions(14, (256, 256), 1, 6),
    "conv1x1-7": convolutions(7, (512, 512), 1, 5),
    "conv3x3-56": convolutions(56, (32, 32), 3, 5),
    "conv3x3-28": convolutions(28, (80, 80), 3, 4),
    "conv3x3-14": convolutions(14, (160, 160), 3, 4),
    "conv3x3-7": convolutions(7, (320, 320), 3, 3),
    "conv7x7-stem": convolutions(192, (3, 32), 7, 1, stride=2),
    "conv3x3-stem": convolutions(192, (3, 32), 3, 1, stride=2),
    "conv3x3-half": convolutions(56, (64, 64), 3, 3, stride=2),
    "conv5x5-28": convolutions(28, (40, 40), 5, 3),
    "depthwise-56": convolutions(56, (64, 64), 3, 6, group=64),
    "depthwise-28": convolutions(28, (192, 192), 3, 6, group=192),
    "depthwise-14": convolutions(14, (384, 384), 3, 6, group=384),
    "depthwise5-14": convolutions(14, (384, 384), 5, 4, group=384),
    "depthwise-7": convolutions(7, (640, 640), 3, 6, group=640),
    "elementwise-large": elementwise(8, 1, 64, 56, 56),
    "elementwise-small": elementwise(40, 16, 48),
    "between-128-384": between_products(3, 128, 384),
    "between-64-1024": between_products(2, 64, 1024),
}
MODELS: Final[dict[str, onnx.ModelProto]] = {
    "bert-small": transformer(3, 64, 256, 1024, 4),
    "bert-wide": transformer(1, 48, 768, 3072, 12),
    "bert-long": transformer(2, 192, 384, 1536, 12),
    "mobile": mobile(128, [(16, 1, 1), (24, 2, 2), (40, 2, 2), (80, 2, 2), (112, 1, 1)]),
    "mobile-thin": mobile(96, [(8, 1, 1), (16, 2, 2), (24, 3, 2), (48, 3, 2), (96, 2, 2)]),
    "residual": residual(112, (32, 64, 128, 256), "basic"),
    "bottleneck": residual(112, (128, 256, 512), "bottleneck"),
    "detector": detector(160),
}
