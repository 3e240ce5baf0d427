"""Ranges of a graph's values over real inputs, one request at a time.

A float graph and requests go in; lowest and highest of each asked value come out. Never more than
one request's values are held, however many requests there are.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import onnx
import onnx.helper
import onnxruntime

from deployopt.core.errors import StepError
from deployopt.core.samples import Feed
from deployopt.graph.ranges import RunningRange
from deployopt.graph.running import RUN_ERRORS
from deployopt.graph.writing import save_onnx


def calibrate(
    model: onnx.ModelProto,
    names: Sequence[str],
    feeds: Iterable[Feed],
    scratch: Path,
    options: tuple[float, int],
    seen: Callable[[int], None],
) -> dict[str, tuple[float, float]]:
    """The ranges of `names`; `options` are the percentile and the threads.

    `scratch` is a file name in a folder that may be written; nothing stays there.

    Raises:
        StepError: a request does not run, or gives numbers that are not finite.
    """
    percentile, threads = options
    session = _session(model, names, scratch, threads)
    inputs = {given.name for given in session.get_inputs()}
    ranges = {name: RunningRange() for name in names}
    for number, feed in enumerate(feeds):
        given = {name: array for name, array in feed.items() if name in inputs}
        for name in ranges.keys() & given.keys():
            _update(ranges[name], given[name], name, number)
        asked = [name for name in names if name not in given]
        try:
            found = session.run(asked, given)
        except RUN_ERRORS as error:
            said = " ".join(str(error).split())[:300]
            raise StepError(
                f"Calibration sample {number} does not run: {said}. Check the data."
            ) from error
        for name, values in zip(asked, found, strict=True):
            _update(ranges[name], values, name, number)
        seen(number + 1)
    return {name: found.range(percentile) for name, found in ranges.items()}


def _update(found: RunningRange, values: object, name: str, number: int) -> None:
    try:
        found.update(values)  # type: ignore[arg-type] # an array; the runtime is not typed
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
