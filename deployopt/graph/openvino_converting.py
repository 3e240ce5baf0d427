"""A float ONNX file in OpenVINO's own form: model.xml and model.bin.

Checked against ONNX Runtime on the requests given. Inputs and outputs keep their one name; nothing
in the files names this machine's folders.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from deployopt.core.errors import StepError
from deployopt.core.quiet import imported_quietly, openvino_settings
from deployopt.core.samples import Array, Feed
from deployopt.graph.describing import GraphDescription, describe_onnx
from deployopt.graph.running import RUN_ERRORS, largest_difference, made_up_feeds, run_graph

with imported_quietly():
    import openvino

IR_FILE: Final = "model.xml"
TOLERANCE: Final = 1e-4
"""Of the outputs' scale: two runtimes sum in other orders."""
CHECKED: Final = 4
OPENVINO_ERRORS: Final = (RuntimeError, ValueError, TypeError)

OpenvinoModel = Any
"""openvino.Model; the package has no types that mypy could follow."""


def convert_to_openvino(
    source: Path, folder: Path, feeds: Sequence[Feed], *, threads: int
) -> float | None:
    """Write the files; the largest difference from ONNX Runtime, None where nothing could be asked.

    Raises:
        RefusedInputError: the source may not be opened.
        StepError: OpenVINO cannot read the graph, or it answers otherwise.
    """
    described = describe_onnx(source)
    save_openvino(read_openvino(source, described), folder / IR_FILE)
    asked: Sequence[Feed] = feeds[:CHECKED] or made_up_feeds(described)
    try:
        expected = run_graph(source, asked, threads)
    except RUN_ERRORS as error:
        if feeds:
            raise StepError(f"{source.name} does not run on its inputs: {error}") from error
        return None
    difference = largest_difference(expected, run_openvino(folder / IR_FILE, asked, threads))
    if difference > TOLERANCE:
        raise StepError(
            f"OpenVINO answers otherwise than ONNX Runtime, by {difference:.2g} of the outputs' "
            f"scale where {TOLERANCE:.0e} is allowed, so its files are not used."
        )
    return difference


def read_openvino(source: Path, described: GraphDescription) -> OpenvinoModel:
    """The graph in memory, its inputs and outputs under their ONNX names alone.

    Raises:
        StepError: OpenVINO does not know an operator, or cannot read the file.
    """
    try:
        model = openvino.Core().read_model(source)
    except OPENVINO_ERRORS as error:
        said = " ".join(str(error).split())[:400]
        raise StepError(f"OpenVINO cannot read {source.name}: {said}") from error
    for ports, names in (
        (model.inputs, [item.name for item in described.inputs]),
        (model.outputs, [item.name for item in described.outputs]),
    ):
        _rename(source, ports, names)
    _settle_names(model, "read")
    return model


def save_openvino(model: OpenvinoModel, path: Path) -> None:
    """Write both files, float weights as they are; the same model gives the same bytes."""
    _settle_names(model, "new")
    openvino.save_model(model, path, compress_to_fp16=False)


def load_openvino(path: Path) -> OpenvinoModel:
    """The model in memory, weights from the `.bin` beside it."""
    return openvino.Core().read_model(path, path.with_suffix(".bin"))


def run_openvino(path: Path, feeds: Sequence[Feed], threads: int) -> list[list[Array]]:
    """All outputs of each request, in the model's order."""
    core = openvino.Core()
    settings: Mapping[str, str | int | bool] = openvino_settings(threads)
    compiled = core.compile_model(load_openvino(path), "CPU", dict(settings))
    request = compiled.create_infer_request()
    return [[np.array(value) for value in request.infer(dict(feed)).values()] for feed in feeds]


def _settle_names(model: OpenvinoModel, mark: str) -> None:
    """Name what has no name; OpenVINO does so by a count over all that this process ever made."""
    for place, node in enumerate(model.get_ordered_ops()):
        if node.get_friendly_name() == node.get_name():
            node.set_friendly_name(f"{node.get_type_name()}.{mark}.{place}")


def _rename(source: Path, ports: Sequence[Any], names: Sequence[str]) -> None:
    for name in names:
        port = next((p for p in ports if name in p.get_names()), None)
        if port is None:
            raise StepError(f"OpenVINO's form of {source.name} has lost the name {name!r}.")
        port.get_tensor().set_names({name})
