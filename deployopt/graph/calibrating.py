"""A graph's values over real inputs, one request at a time, and their ranges.

A float graph and requests go in; a running range of each asked value comes out, from which any
calibration takes lowest and highest. Never more than one request's values are held, however many
requests there are.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec
import numpy as np
import onnx
import onnx.helper
import onnxruntime

from deployopt.core.errors import StepError
from deployopt.core.samples import Array, Feed
from deployopt.graph.range_entropy import least_loss_range
from deployopt.graph.range_error import least_error_range
from deployopt.graph.ranges import RunningRange
from deployopt.graph.running import RUN_ERRORS
from deployopt.graph.writing import save_onnx

Bounds: TypeAlias = tuple[float, float]
Calibration = Literal["minmax", "percentile", "entropy", "mse"]


class Observing(msgspec.Struct, frozen=True, kw_only=True):
    """`scratch` is a file name in a folder that may be written; nothing stays there."""

    scratch: Path
    threads: int
    seen: Callable[[int], None]


def observe(
    model: onnx.ModelProto, names: Sequence[str], feeds: Iterable[Feed], how: Observing
) -> dict[str, RunningRange]:
    """The running ranges of `names` after all requests.

    A value within the graph that is infinite, as the logarithm of nought is, has none and is left
    out: no integer stands for it.

    Raises:
        StepError: a request does not run, is not finite itself, or gives what is no number.
    """
    ranges = {name: RunningRange() for name in names}
    inputs = {value.name for value in model.graph.input}
    endless: set[str] = set()

    def take(name: str, values: Array) -> None:
        if name not in inputs and _is_endless(values):
            endless.add(name)
        elif name not in endless:
            ranges[name].update(values)

    watch_values(model, names, feeds, how, take)
    return {name: found for name, found in ranges.items() if name not in endless}


def _is_endless(values: Array) -> bool:
    """Whether it holds numbers, and an infinite one."""
    if not values.size:
        return False
    low, high = values.min(), values.max()
    return bool((np.isinf(low) or np.isinf(high)) and not np.isnan(low))


def range_of(found: RunningRange, calibration: Calibration, percentile: float) -> Bounds:
    """Lowest and highest value as that calibration takes them."""
    if calibration == "minmax":
        return found.range()
    if calibration == "percentile":
        return found.range(percentile)
    choose = least_error_range if calibration == "mse" else least_loss_range
    return choose(*found.histogram(), found.lowest, found.highest)


def watch_values(
    model: onnx.ModelProto,
    names: Sequence[str],
    feeds: Iterable[Feed],
    how: Observing,
    take: Callable[[str, Array], None],
) -> None:
    """Give every asked value of every request to `take`, which refuses with ValueError.

    Raises:
        StepError: a request does not run, or gives numbers that are refused.
    """
    session = _session(model, names, how.scratch, how.threads)
    inputs = {given.name for given in session.get_inputs()}
    for number, feed in enumerate(feeds):
        given = {name: array for name, array in feed.items() if name in inputs}
        asked = [name for name in names if name not in given]
        try:
            # Asked for nothing, a session gives every output of the graph.
            found = session.run(asked, given) if asked else []
        except RUN_ERRORS as error:
            said = " ".join(str(error).split())[:300]
            raise StepError(
                f"Calibration sample {number} does not run: {said}. Check the data."
            ) from error
        values = {**dict(zip(asked, found, strict=True)), **given}
        for name in names:
            _take(take, name, values[name], number)
        how.seen(number + 1)


def _take(take: Callable[[str, Array], None], name: str, values: Array, number: int) -> None:
    try:
        take(name, values)
    except ValueError as error:
        raise StepError(
            f"The value {name!r} is not finite for calibration sample {number}. "
            "Check the data, or leave the quantizing out."
        ) from error


def _session(
    model: onnx.ModelProto, names: Sequence[str], scratch: Path, threads: int
) -> onnxruntime.InferenceSession:
    """A session that gives every asked value as an output."""
    asked = onnx.ModelProto()
    asked.CopyFrom(model)
    known = {value.name for value in (*asked.graph.output, *asked.graph.input)}
    for name in names:
        if name not in known:
            asked.graph.output.add().CopyFrom(
                onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
            )
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.log_severity_level = 3
    # Higher levels would fuse away values that are asked for.
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        save_onnx(asked, scratch)
        return onnxruntime.InferenceSession(scratch, settings, providers=["CPUExecutionProvider"])
    finally:
        scratch.unlink(missing_ok=True)
        scratch.with_name(scratch.name + ".data").unlink(missing_ok=True)
