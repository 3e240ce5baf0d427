"""Limits on a foreign graph, checked before any native code reads it.

A parsed model goes in; RefusedInputError comes out where it is larger or deeper than any real
model, calls operators of an unknown domain, or has local functions that call each other in a ring
or blow up when expanded (ONNX Runtime dies on a long chain of them).
"""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NoReturn

import onnx

from deployopt.core.errors import RefusedInputError
from deployopt.graph.tensors import dense_tensors, other_tensors, subgraphs

MAX_FILE_BYTES: Final = 2**31 - 1
MAX_NODES: Final = 200_000
MAX_DEPTH: Final = 16
MAX_RANK: Final = 12
MAX_ELEMENTS: Final = 2**40
MAX_FUNCTIONS: Final = 4_096
MAX_INPUT_ELEMENTS: Final = 2**27
"""Of the sizes that an input fixes: a request of half a gigabyte."""
ALLOWED_DOMAINS: Final = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})
NATIVE_OPERATORS: Final = frozenset({"EPContext", "PythonOp", "PythonOpGrad", "TritonOp"})
"""ONNX Runtime's own, which hold or name compiled code or Python."""

FunctionKey = tuple[str, str, str]


def check_limits(model: onnx.ModelProto, path: Path) -> None:
    """Raise RefusedInputError if the model is not one that may be opened."""
    for body in (model.graph, *model.functions[:MAX_FUNCTIONS]):
        if len(body.node) > MAX_NODES:
            refuse(path, f"its graph has more than {MAX_NODES} nodes")
    _check_functions(model, path)
    _check_domains(model, path)
    for tensor in (*dense_tensors(model), *other_tensors(model)):
        _check_dims(tensor, path)
    for value in model.graph.input:
        _check_input(value, path)


def refuse(path: Path, what: str, remedy: str = "") -> NoReturn:
    """Raise the one paragraph for a refused ONNX file."""
    remedy = remedy or "Export the model again with the tool that made it, or take another file."
    raise RefusedInputError(f"{path} was not opened: {what}. {remedy}")


def _check_functions(model: onnx.ModelProto, path: Path) -> None:
    """Count nodes as if every local function were expanded, without expanding any."""
    if len(model.functions) > MAX_FUNCTIONS:
        refuse(path, f"it has {len(model.functions)} local functions, more than {MAX_FUNCTIONS}")
    functions = {(f.domain, f.name, f.overload): f for f in model.functions}
    sizes: dict[FunctionKey, tuple[int, int]] = {}
    for key in functions:
        _measure(key, functions, sizes, path)
    nodes, _ = _expanded(model.graph.node, sizes, 0, path)
    if nodes > MAX_NODES:
        refuse(path, f"its graph has more than {MAX_NODES} nodes when expanded")


def _measure(
    start: FunctionKey,
    functions: dict[FunctionKey, onnx.FunctionProto],
    sizes: dict[FunctionKey, tuple[int, int]],
    path: Path,
) -> None:
    """Fill in nodes and call depth of `start` and of what it calls, without recursion."""
    stack: list[tuple[FunctionKey, bool]] = [(start, False)]
    open_calls: set[FunctionKey] = set()
    while stack:
        key, called_are_done = stack.pop()
        if key in sizes:
            continue
        if called_are_done:
            open_calls.discard(key)
            sizes[key] = _expanded(functions[key].node, sizes, 0, path)
            continue
        open_calls.add(key)
        stack.append((key, True))
        for called in _calls(functions[key].node, path, 0):
            if called in open_calls:
                refuse(path, f"its local function {called[1]!r} calls itself")
            if called in functions and called not in sizes:
                stack.append((called, False))


def _calls(nodes: Iterable[onnx.NodeProto], path: Path, depth: int) -> set[FunctionKey]:
    if depth > MAX_DEPTH:
        refuse(path, f"its graphs are nested deeper than {MAX_DEPTH}")
    found: set[FunctionKey] = set()
    for node in nodes:
        found.add((node.domain, node.op_type, node.overload))
        for graph in subgraphs(node):
            found |= _calls(graph.node, path, depth + 1)
    return found


def _expanded(
    nodes: Iterable[onnx.NodeProto],
    sizes: dict[FunctionKey, tuple[int, int]],
    depth: int,
    path: Path,
) -> tuple[int, int]:
    """Nodes and call depth when every call in `nodes` is replaced by the function's body."""
    if depth > MAX_DEPTH:
        refuse(path, f"its graphs are nested deeper than {MAX_DEPTH}")
    total, deepest = 0, 0
    for node in nodes:
        inner, called_depth = sizes.get((node.domain, node.op_type, node.overload), (1, -1))
        total, deepest = total + inner, max(deepest, called_depth + 1)
        for graph in subgraphs(node):
            more, deeper = _expanded(graph.node, sizes, depth + 1, path)
            total, deepest = total + more, max(deepest, deeper)
    if deepest > MAX_DEPTH:
        refuse(path, f"its local functions call each other more than {MAX_DEPTH} deep")
    # Doubling functions would otherwise make numbers of millions of digits.
    return min(total, 2 * MAX_NODES), deepest


def _check_domains(model: onnx.ModelProto, path: Path) -> None:
    own = {(f.domain, f.name, f.overload) for f in model.functions}
    bodies = [model.graph.node, *(f.node for f in model.functions)]
    called = set().union(*(_calls(nodes, path, 0) for nodes in bodies))
    native = sorted(key[1] for key in called if key[1] in NATIVE_OPERATORS)
    if native:
        refuse(
            path,
            f"its operator {native[0]} holds code that was compiled for one machine",
            "Export the model with standard operators only; deployopt compiles it for the target.",
        )
    for domain, op_type, _ in sorted(
        key for key in called if key not in own and key[0] not in ALLOWED_DOMAINS
    ):
        refuse(
            path,
            f"it uses the operator {domain[:64]}.{op_type[:64]}, which is not ONNX's or "
            "ONNX Runtime's own and would need a library to be loaded",
            "Export the model with standard operators only.",
        )


def _check_dims(tensor: onnx.TensorProto, path: Path) -> None:
    elements = 1
    for size in tensor.dims:
        elements *= size
        if size < 0 or elements > MAX_ELEMENTS:
            break
    else:
        if len(tensor.dims) <= MAX_RANK:
            return
    refuse(path, f"its tensor {tensor.name[:64]!r} has impossible dimensions")


def _check_input(value: onnx.ValueInfoProto, path: Path) -> None:
    fixed = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
    if len(fixed) > MAX_RANK or math.prod(max(size, 1) for size in fixed) > MAX_INPUT_ELEMENTS:
        refuse(path, f"its input {value.name[:64]!r} has impossible dimensions")
