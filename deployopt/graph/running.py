"""A graph's answers through ONNX Runtime, for comparing one graph with another."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import onnx
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as state

from deployopt.core.artifact import SessionOptions
from deployopt.core.samples import Array, Feed
from deployopt.graph.describing import GraphDescription
from deployopt.graph.writing import save_onnx

RUN_ERRORS: Final = (
    state.EPFail,
    state.Fail,
    state.InvalidArgument,
    state.InvalidGraph,
    state.InvalidProtobuf,
    state.NotImplemented,
    state.RuntimeException,
    ValueError,
)
_SYMBOL_SIZES: Final = (2, 8, 6, 4)


def run_graph(path: Path, feeds: Sequence[Feed], threads: int) -> list[list[Array]]:
    """All outputs for each feed, on the CPU, with only the basic graph optimizations."""
    session = open_graph(path, threads)
    return [[np.asarray(out) for out in session.run(None, dict(feed))] for feed in feeds]


def open_graph(path: Path, threads: int) -> onnxruntime.InferenceSession:
    """A session on the CPU, with only the basic graph optimizations."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.add_session_config_entry("session.disable_prepacking", "1")
    # Weights behind Q/DQ pairs are turned back once, and not for every request.
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


class Named(Protocol):
    """An input of a graph."""

    name: str


class Session(Protocol):
    """What is used of a session."""

    def get_inputs(self) -> Sequence[Named]:
        """The graph's inputs, in order."""
        ...

    def run(self, output_names: Sequence[str], input_feed: Feed) -> list[Array]:
        """Answer one request."""
        ...


def open_as_shipped(
    model: onnx.ModelProto,
    beside: Mapping[str, Array],
    scratch: Path,
    shipped: SessionOptions,
    threads: int,
) -> Session:
    """A session with the options that a device opens the model with.

    Weights `beside` the model are its initializers; the file `scratch` does not stay.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    for key, value in sorted(shipped.config_entries.items()):
        options.add_session_config_entry(key, value)
    try:
        save_onnx(model, scratch, beside=beside)
        session: Session = onnxruntime.InferenceSession(
            scratch,
            options,
            providers=["CPUExecutionProvider"],
            disabled_optimizers=list(shipped.disabled_optimizers),
        )
    finally:
        scratch.unlink(missing_ok=True)
        scratch.with_name(scratch.name + ".data").unlink(missing_ok=True)
    return session


def largest_difference(one: Sequence[Sequence[Array]], other: Sequence[Sequence[Array]]) -> float:
    """The greatest difference, relative to the outputs' scale where that is over 1.

    Infinite where shapes differ or a number is not finite in one of them only.
    """
    worst = 0.0
    for outputs, others in zip(one, other, strict=True):
        for a, b in zip(outputs, others, strict=True):
            if a.shape != b.shape:
                return float("inf")
            worst = max(worst, _difference(a, b))
    return worst


def largest_float_difference(
    one: Sequence[Sequence[Array]], other: Sequence[Sequence[Array]]
) -> float:
    """The same of floats of one shape alone.

    Places and counts that a rounding moved are for the judges of accuracy, as any wrong answer.
    """
    pairs = [
        (a, b)
        for before, after in zip(one, other, strict=True)
        for a, b in zip(before, after, strict=True)
        if a.dtype.kind == "f" and a.shape == b.shape
    ]
    return largest_difference([[a for a, _ in pairs]], [[b for _, b in pairs]])


def _difference(a: Array, b: Array) -> float:
    if a.dtype.kind != "f":
        return 0.0 if np.array_equal(a, b) else float("inf")
    finite = np.isfinite(a)
    if not np.array_equal(finite, np.isfinite(b)):
        return float("inf")
    scale = max(1.0, float(np.max(np.abs(a[finite]), initial=0.0)))
    return float(np.max(np.abs(a[finite] - b[finite]), initial=0.0)) / scale


def made_up_feeds(description: GraphDescription, seed: int = 0) -> list[dict[str, Array]]:
    """One request of small numbers for every input; a dimension's name has one size throughout."""
    random = np.random.default_rng(seed)
    sizes: dict[str, int] = {}
    feed: dict[str, Array] = {}
    for given in description.inputs:
        shape = [_size(dim, sizes) for dim in given.shape]
        kind = np.dtype(given.dtype)
        if kind.kind == "f":
            feed[given.name] = random.standard_normal(shape).astype(kind)
        else:
            feed[given.name] = np.ones(shape, kind)
    return [feed]


def _size(dim: int | str, sizes: dict[str, int]) -> int:
    if isinstance(dim, int):
        return max(dim, 1)
    return sizes.setdefault(dim, _SYMBOL_SIZES[min(len(sizes), len(_SYMBOL_SIZES) - 1)])
