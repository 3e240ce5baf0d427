"""What a model's file declares of its inputs and outputs: names, types, shapes.

In: a setup. Out: the tensors. An OpenVINO model is read by OpenVINO, which has to be installed.
"""

from pathlib import Path

import msgspec

from deployopt.core.artifact import RuntimeName
from deployopt.core.errors import IntegrityError
from deployopt.core.text import safe_text


class Tensor(msgspec.Struct, frozen=True, kw_only=True):
    """One input or output; a dimension is a number, or a name (perhaps "") where it may vary."""

    name: str
    dtype: str
    """As numpy names it; "string" and "bfloat16" besides."""
    shape: tuple[int | str, ...]


class Tensors(msgspec.Struct, frozen=True, kw_only=True):
    """A model's own."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


def read_tensors(model: Path, runtime: RuntimeName) -> Tensors:
    """What the file says.

    Raises:
        RefusedInputError: it is not a model of its runtime.
        IntegrityError: OpenVINO cannot read it.
        DeviceError: OpenVINO is needed and not installed.
    """
    if runtime == "openvino":
        return _of_openvino(model)
    from deployopt.device.onnx_tensors import read_onnx_tensors

    return read_onnx_tensors(model)


def _of_openvino(model: Path) -> Tensors:
    from deployopt.device.openvino_session import import_openvino

    openvino = import_openvino()
    try:
        read = openvino.Core().read_model(model, model.with_suffix(".bin"))
    except RuntimeError as error:
        raise IntegrityError(
            f"{model.name} is not a model that OpenVINO can read: {safe_text(str(error), 400)}"
        ) from error

    def told(port: object) -> Tensor:
        shape = (d.get_length() if d.is_static else "" for d in port.get_partial_shape())  # type: ignore[attr-defined]
        dtype = port.get_element_type().to_dtype().name  # type: ignore[attr-defined]
        return Tensor(name=port.get_any_name(), dtype=dtype, shape=tuple(shape))  # type: ignore[attr-defined]

    return Tensors(
        inputs=tuple(told(port) for port in read.inputs),
        outputs=tuple(told(port) for port in read.outputs),
    )
