"""ONNX files, read safely: a path goes in, a parsed model comes out.

A file from elsewhere is refused (RefusedInputError) when it is no ONNX model, is larger than the
format allows, has external data anywhere but beside it, uses foreign operators, fails
`onnx.checker`, or breaks a reader: a confined process opens it before this one does. A file that a
step here has just written is `trusted`: it skips that process.
"""

import stat
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from deployopt.graph.checking import check_in_child
from deployopt.graph.external import check_external, load_external
from deployopt.graph.limits import MAX_FILE_BYTES, check_limits, refuse

_MIN_OPSET = 7


def load_onnx(path: Path, *, trusted: bool = False) -> onnx.ModelProto:
    """The whole model in memory, external data included.

    Raises:
        RefusedInputError: the file is not one that may be opened; the message says why.
    """
    if not trusted:
        check_in_child(path)
    model = read_graph(path)
    load_external(model, path)
    return model


def read_graph(path: Path) -> onnx.ModelProto:
    """The graph with its inline tensors; external data is checked and left where it is.

    Raises:
        RefusedInputError: as load_onnx, short of what only the checker finds.
    """
    model = _parse(path)
    if not model.HasField("graph") or not model.graph.output:
        refuse(path, "it is not an ONNX model, or has no outputs")
    check_limits(model, path)
    check_external(model, path)
    return model


def check_onnx(path: Path) -> None:
    """All that load_onnx checks, without loading anything here."""
    check_in_child(path)


def opset_of(model: onnx.ModelProto) -> int:
    """The version of ONNX's own operators that the model uses; 0 when it names none."""
    return max((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=0)


def _parse(path: Path) -> onnx.ModelProto:
    try:
        status = path.stat()
    except OSError as error:
        refuse(path, f"{error.strerror}", "Check the path.")
    if not stat.S_ISREG(status.st_mode):
        refuse(path, "it is not a regular file", "Name the .onnx file itself.")
    if status.st_size > MAX_FILE_BYTES:
        refuse(path, "it is over 2 GB", "Save its weights as external data beside it.")
    model = onnx.ModelProto()
    try:
        model.ParseFromString(path.read_bytes())
    except DecodeError:
        refuse(path, "it is not an ONNX file, or is corrupt", "Fetch or export it again.")
    return model
