"""Weights of 4 or 8 bits in blocks, activations in float: small, where memory is what counts.

A float model is changed in place: MatMul and Gemm with large constant weights become ONNX
Runtime's MatMulNBits, in which each block of rows of a column has a scale and a zero point of its
own. Refuses nothing: what does not fit the pattern stays float.
"""

from fnmatch import fnmatchcase
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
import onnx
import onnx.helper
import onnx.numpy_helper

from deployopt.core.samples import Array
from deployopt.graph.index import (
    GraphIndex,
    attribute,
    drop_unread_weights,
    initializer,
    replace_nodes,
)
from deployopt.graph.naming import name_nodes
from deployopt.graph.quantize_dynamic import is_product
from deployopt.graph.quantize_lookups import is_lookup, quantize_lookup
from deployopt.graph.quantize_weights import Floats

DOMAIN: Final = "com.microsoft"
INT8_PRODUCTS: Final = 4
"""MatMulNBits' accuracy level at which activations are quantized by block too, on the fly."""
_BYTE: Final = 8
Bytes = npt.NDArray[np.uint8]


class BlockOptions(msgspec.Struct, frozen=True, kw_only=True):
    """As the step quantize-weights; `only` are patterns of the nodes that it is to be."""

    bits: int = 4
    block: int = 32
    embeddings: bool = True
    exclude: tuple[str, ...] = ()
    only: tuple[str, ...] = ("*",)


def quantize_blocks(model: onnx.ModelProto, options: BlockOptions) -> tuple[str, ...]:
    """Quantize in place; the names of the nodes that were."""
    name_nodes(model)
    index = GraphIndex(model)
    replacements: dict[str, list[onnx.NodeProto]] = {}
    tables: dict[str, tuple[str, str]] = {}
    names = []
    for node in list(model.graph.node):
        if _matches(node, options.exclude) or not _matches(node, options.only):
            continue
        if is_product(index, node):
            replacements[node.output[0]] = _product(index, node, options)
        elif options.embeddings and is_lookup(index, node):
            replacements[node.output[0]] = quantize_lookup(index, node, tables)
        else:
            continue
        names.append(node.name)
    replace_nodes(model.graph, replacements)
    drop_unread_weights(model)
    del model.graph.value_info[:]
    if not any(known.domain == DOMAIN for known in model.opset_import):
        model.opset_import.append(onnx.helper.make_opsetid(DOMAIN, 1))
    return tuple(names)


def _matches(node: onnx.NodeProto, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(node.name, pattern) for pattern in patterns)


def to_blocks(weight: Floats, block: int, bits: int) -> tuple[Bytes, Floats, Bytes]:
    """Of a matrix `[K, N]`: integers `[N, blocks, bytes]`, scales `[N, blocks]`, zero points.

    w is about (q - zero) * scale; a block spans from its least to its greatest weight, 0 among
    them. Two 4-bit numbers share a byte, the lower half first; zero points `[N, bytes]` likewise.
    """
    rows, columns = weight.shape
    blocks = -(-rows // block)
    padded = np.zeros((columns, blocks * block), np.float32)
    padded[:, :rows] = weight.T
    cells = padded.reshape(columns, blocks, block)
    most = np.float32(2**bits - 1)
    low = np.minimum(cells.min(axis=2), 0)
    scale = ((np.maximum(cells.max(axis=2), 0) - low) / most).astype(np.float32)
    scale[scale == 0] = 1
    zero = np.clip(np.rint(-low / scale), 0, most)
    cells /= scale[..., None]
    cells += zero[..., None]
    np.rint(cells, out=cells)
    integers = np.clip(cells, 0, most, out=cells).astype(np.uint8)
    return _packed(integers, bits), scale, _packed(zero.astype(np.uint8), bits)


def _packed(numbers: Bytes, bits: int) -> Bytes:
    if bits == _BYTE:
        return numbers
    if numbers.shape[-1] % 2:
        numbers = np.concatenate([numbers, np.zeros_like(numbers[..., :1])], axis=-1)
    return np.asarray(numbers[..., 0::2] | numbers[..., 1::2] << 4, np.uint8)


def _product(
    index: GraphIndex, node: onnx.NodeProto, options: BlockOptions
) -> list[onnx.NodeProto]:
    name = node.input[1]
    weight = np.asarray(onnx.numpy_helper.to_array(index.weights[name]), np.float32)
    if node.op_type == "Gemm" and attribute(node, "transB", 0) == 1:
        weight = weight.T
    # A weight that is read twice is stored twice: no exporter ties the weights of products.
    stem = f"{node.name}.u{options.bits}"
    parts = [stem, f"{stem}.scales", f"{stem}.zeros"]
    packed, scales, zeros = to_blocks(weight, options.block, options.bits)
    arrays: tuple[Array, ...] = (packed, scales.reshape(-1), zeros.reshape(-1))
    for part, array in zip(parts, arrays, strict=True):
        index.graph.initializer.append(initializer(part, array))
    biased = node.op_type == "Gemm" and len(node.input) > 2 and bool(node.input[2])  # noqa: PLR2004 A, B, C
    product = f"{node.output[0]}.product" if biased else node.output[0]
    made = onnx.helper.make_node(
        "MatMulNBits",
        [node.input[0], *parts],
        [product],
        name=node.name,
        domain=DOMAIN,
        K=weight.shape[0],
        N=weight.shape[1],
        bits=options.bits,
        block_size=options.block,
        accuracy_level=INT8_PRODUCTS,
    )
    if not biased:
        return [made]
    bias = onnx.helper.make_node(
        "Add", [product, node.input[2]], [node.output[0]], name=f"{node.name}.bias"
    )
    return [made, bias]
