"""What a card rounds, rounded on a CPU: float32 graphs that answer as shorter floats would.

In: a float graph. Out: the same graph in float32 with the rounding as nodes of its own, to be asked
in the place of a card. bfloat16 rounds every value; of TF32 the products alone read shorter ones.
"""

from typing import Final

import ml_dtypes
import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper
from onnxruntime.transformers.float16 import ALWAYS_FLOAT_INPUTS, DEFAULT_OP_BLOCK_LIST

from deployopt.core.errors import StepError
from deployopt.core.samples import Array
from deployopt.graph.floats import float_values
from deployopt.graph.tensors import subgraphs

BFLOAT16_LARGEST: Final = (2 - 2.0**-7) * 2.0**127
PRODUCTS: Final = {"Conv": 2, "ConvTranspose": 2, "Einsum": None, "Gemm": 2, "MatMul": 2}
"""Those that a card works out in TF32 where it may, and how many inputs are factors; what one adds
is not shortened."""
_RECURRENT: Final = frozenset({"GRU", "LSTM", "RNN"})
_SPLIT: Final = float(2**14 + 1)
"""Cuts a float32 to nine bits behind the leading one. TF32 keeps ten, of which a card that cuts
off where another rounds gets the last one wrong."""


def to_bfloat16(values: Array) -> Array:
    """The nearest bfloat16, as such; what stands for minus infinity stays a number."""
    cut = np.clip(values.astype(np.float32), -BFLOAT16_LARGEST, BFLOAT16_LARGEST)
    return np.asarray(cut.astype(ml_dtypes.bfloat16))


def rounded_to_bfloat16(source: onnx.ModelProto) -> onnx.ModelProto:
    """Every float that a node gives or an input brings, and every weight, rounded to bfloat16.

    The source is left as it is; its constants are initializers and its types are known.

    Raises:
        StepError: a node works out more than it gives: branches, loops, recurrent layers.
    """
    model = _copy(source)
    rounding = _Rounding(model)
    read = {
        name
        for node in source.graph.node
        if node.op_type not in DEFAULT_OP_BLOCK_LIST
        for at, name in enumerate(node.input)
        if at not in ALWAYS_FLOAT_INPUTS.get(node.op_type, ())
    }
    for tensor in model.graph.initializer:
        # What is read as float32 alone, as a resizing's scales, stays as it is.
        if tensor.data_type == onnx.TensorProto.FLOAT and tensor.name in read:
            values = to_bfloat16(onnx.numpy_helper.to_array(tensor)).astype(np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    floats = float_values(model)
    given = {value.name: rounding.pair(value.name) for value in model.graph.input}
    given = {name: short for name, short in given.items() if name in floats}
    for node in source.graph.node:
        mine = onnx.NodeProto()
        mine.CopyFrom(node)
        _read(mine, given)
        made = [name for name in node.output if name in floats]
        for at, name in enumerate(node.output):
            if name in made:
                mine.output[at] = f"{name}_whole"
        rounding.nodes.append(mine)
        for name in made:
            rounding.cast(f"{name}_whole", name)
    return rounding.done({*given.values()})


def rounded_products(source: onnx.ModelProto) -> onnx.ModelProto:
    """Both factors of every product cut as TF32 cuts them, and a bit more.

    The cut is Veltkamp's: with c the constant times x, it is c - (c - x). The source is left as it
    is; its constants are initializers.

    Raises:
        StepError: a node works out more than it gives: branches, loops, recurrent layers.
    """
    model = _copy(source)
    rounding = _Rounding(model)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    cut: dict[str, str] = {}
    for node in source.graph.node:
        mine = onnx.NodeProto()
        mine.CopyFrom(node)
        for at, name in enumerate(_factors(node)):
            if name not in cut:
                known = weights.get(name)
                cut[name] = rounding.split(name) if known is None else rounding.weight(known)
            mine.input[at] = cut[name]
        rounding.nodes.append(mine)
    return rounding.done(set(cut.values()))


class _Rounding:
    """Nodes and constants as they are put together."""

    def __init__(self, model: onnx.ModelProto) -> None:
        for node in model.graph.node:
            if node.op_type in _RECURRENT or any(subgraphs(node)):
                raise StepError(
                    f"The node {node.name!r} ({node.op_type}) works out more than it gives, which "
                    "is not rounded here, so that the accuracy could not be judged. The other "
                    "forms stand."
                )
        self._model = model
        self.nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}

    def cast(self, name: str, rounded: str) -> None:
        """`rounded` is `name` in bfloat16 and back."""
        short = f"{rounded}_short"
        kinds = ((name, short, onnx.TensorProto.BFLOAT16), (short, rounded, onnx.TensorProto.FLOAT))
        self.nodes += [
            onnx.helper.make_node("Cast", [read], [given], name=given + "_cast", to=kind)
            for read, given, kind in kinds
        ]

    def pair(self, name: str) -> str:
        """Of an input, the name of its rounded value."""
        self.cast(name, f"{name}_rounded")
        return f"{name}_rounded"

    def split(self, name: str) -> str:
        """The name of the value, cut."""
        self._constants["tf32_split"] = onnx.numpy_helper.from_array(
            np.array(_SPLIT, np.float32), "tf32_split"
        )
        times, rest, cut = (f"{name}_{part}" for part in ("times", "rest", "cut"))
        for operator, read, given in (
            ("Mul", [name, "tf32_split"], times),
            ("Sub", [times, name], rest),
            ("Sub", [times, rest], cut),
        ):
            self.nodes.append(onnx.helper.make_node(operator, read, [given], name=given))
        return cut

    def weight(self, tensor: onnx.TensorProto) -> str:
        """The name of the weights, cut here."""
        values = onnx.numpy_helper.to_array(tensor)
        name = f"{tensor.name}_cut"
        if values.dtype == np.float32:
            times = values * np.float32(_SPLIT)
            values = times - (times - values)
        self._constants[name] = onnx.numpy_helper.from_array(values, name)
        return name

    def done(self, made: set[str]) -> onnx.ModelProto:
        """The model; of `made` nothing may be named so already, and unread weights are left out."""
        graph = self._model.graph
        taken = {tensor.name for tensor in graph.initializer} | {v.name for v in graph.input}
        if taken & made:
            raise StepError("The graph has names that end as those of rounded values do.")
        del graph.node[:], graph.value_info[:]
        graph.node.extend(self.nodes)
        read = {name for node in self.nodes for name in node.input}
        read |= {value.name for value in graph.output}
        kept = [tensor for tensor in graph.initializer if tensor.name in read]
        del graph.initializer[:]
        graph.initializer.extend([*kept, *self._constants.values()])
        return self._model


def _copy(source: onnx.ModelProto) -> onnx.ModelProto:
    model = onnx.ModelProto()
    model.CopyFrom(source)
    return model


def _factors(node: onnx.NodeProto) -> list[str]:
    """Names of what it multiplies; nothing of a node that is no product."""
    return list(node.input)[: PRODUCTS[node.op_type]] if node.op_type in PRODUCTS else []


def _read(node: onnx.NodeProto, instead: dict[str, str]) -> None:
    for at, name in enumerate(node.input):
        if name in instead:
            node.input[at] = instead[name]
