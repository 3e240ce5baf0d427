"""A float32 graph in bfloat16, and a float32 graph that answers on a CPU as it does.

A float file goes in; two come out, their inputs and outputs still float32. The rewriting is the
float16 one of onnxruntime.transformers with the other type: bfloat16 has float32's range, so that
no node has to stay float32. ONNX Runtime has no kernels for it on a CPU, which is why there is the
second graph.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper

from deployopt.core.errors import StepError
from deployopt.core.samples import Array, Feed
from deployopt.graph.half import half_graph
from deployopt.graph.inferring import infer_types
from deployopt.graph.naming import name_nodes
from deployopt.graph.opsets import raise_opset
from deployopt.graph.reading import load_onnx
from deployopt.graph.rewrite_constants import lift_constants
from deployopt.graph.rounding import rounded_to_bfloat16, to_bfloat16
from deployopt.graph.running import largest_float_difference, run_graph
from deployopt.graph.writing import save_onnx

_OPSET: Final = 17
"""From here on bfloat16 is a type of all that models of this kind are made of."""
_CHECKED: Final = 32


def convert_to_bfloat16(
    source: Path,
    destination: Path,
    asked: Path,
    feeds: Sequence[Feed],
    threads: int,
    progress: Callable[[float, str], None],
) -> float:
    """Write the bfloat16 model and the one that is `asked` on a CPU.

    Returns how far the answers of the second are from the source's, over their scale where that is
    over 1.

    Raises:
        RefusedInputError: the source may not be opened.
        StepError: a node works out more than it gives, or answers are not finite.
    """
    model = load_onnx(source, trusted=True)
    model = raise_opset(model, _OPSET)
    lift_constants(model)
    name_nodes(model)
    infer_types(model)
    stand_in = rounded_to_bfloat16(model)
    save_onnx(stand_in, asked)
    save_onnx(bfloat16_graph(model), destination)
    progress(0.5, "comparing with float32")
    found = largest_float_difference(
        *(run_graph(path, feeds[:_CHECKED], threads) for path in (source, asked))
    )
    if not np.isfinite(found):
        raise StepError(
            "The bfloat16 graph gives answers that are not finite where float32's are. The float32 "
            "form stands."
        )
    return found


def bfloat16_graph(source: onnx.ModelProto) -> onnx.ModelProto:
    """The graph in bfloat16 but for the operators that have none; the source is left as it is."""
    whole = {tensor.name: tensor for tensor in source.graph.initializer}
    given = {(node.name, a.name): a.t for node in source.graph.node for a in node.attribute}
    model = half_graph(source, ())
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT16:
            tensor.CopyFrom(_brain(whole.get(tensor.name, tensor), tensor.name))
    for node in model.graph.node:
        for found in node.attribute:
            if found.name in {"to", "dtype"} and found.i == onnx.TensorProto.FLOAT16:
                found.i = onnx.TensorProto.BFLOAT16
            elif found.t.data_type == onnx.TensorProto.FLOAT16:
                before = given.get((node.name, found.name), found.t)
                found.t.CopyFrom(_brain(before, found.t.name))
    return model


def _brain(tensor: onnx.TensorProto, name: str) -> onnx.TensorProto:
    values: Array = to_bfloat16(onnx.numpy_helper.to_array(tensor))
    return onnx.helper.make_tensor(
        name, onnx.TensorProto.BFLOAT16, values.shape, values.tobytes(), raw=True
    )
