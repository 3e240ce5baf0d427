"""An OpenVINO session: a model.xml with the model.bin beside it, on the setup's threads, quiet.

In: a Setup. Out: a session. Refuses what is not OpenVINO's own form of a model, settings that are
not among the few allowed, and a machine without OpenVINO. Sizes may change from request to request;
the first request of a new size takes longer, as its kernels are made then.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from deployopt.core.errors import DeviceError, IntegrityError, RefusedInputError
from deployopt.core.quiet import (
    OPENVINO_VERSIONS,
    imported_quietly,
    openvino_missing,
    openvino_settings,
)
from deployopt.core.samples import Array
from deployopt.core.text import safe_text
from deployopt.device.session import Named, Session
from deployopt.device.setup import Setup

_ENTRIES_ALLOWED: Final = frozenset(
    {
        "CPU_DENORMALS_OPTIMIZATION",
        "CPU_RUNTIME_CACHE_CAPACITY",
        "ENABLE_CPU_PINNING",
        "ENABLE_HYPER_THREADING",
        "SCHEDULING_CORE_TYPE",
    }
)
"""Settings that change scheduling and memory only; others name folders or change arithmetic."""
_FAILURES: Final = (RuntimeError, ValueError, TypeError, KeyError)
_BEGINNING: Final = re.compile(rb"\s*<\?xml[^>]{0,200}\?>\s*<net[\s>]")
_LOOKED_AT: Final = 4096
_XML_MOST: Final = 256 * 2**20


class _Output:
    """An output under the name that the interface has for it."""

    def __init__(self, name: str) -> None:
        self.name = name


class OpenvinoSession:
    """A compiled model and its one request."""

    def __init__(self, compiled: Any) -> None:  # noqa: ANN401 an openvino.CompiledModel
        self._request = compiled.create_infer_request()
        self._names = [output.get_any_name() for output in compiled.outputs]
        self._places = {
            name: place
            for place, output in enumerate(compiled.outputs)
            for name in output.get_names()
        }

    def get_outputs(self) -> Sequence[Named]:
        """The graph's outputs, in order."""
        return [_Output(name) for name in self._names]

    def run(
        self, output_names: Sequence[str] | None, input_feed: Mapping[str, Array]
    ) -> list[Array]:
        """Answer one request; raises DeviceError where the runtime fails on it."""
        request = self._request
        try:
            places = [self._places[name] for name in output_names or self._names]
            # Inputs are read where they are; outputs are copied, as the next request writes there.
            request.infer(dict(input_feed), share_inputs=True, share_outputs=True)
            return [np.array(request.get_output_tensor(place).data) for place in places]
        except MemoryError as error:
            raise DeviceError("The model needs more memory than it may take.") from error
        except _FAILURES as error:
            raise DeviceError(
                f"OpenVINO failed on this input: {safe_text(str(error), 400)}"
            ) from error


def import_openvino() -> Any:  # noqa: ANN401 a module without types
    """The package, imported without its telemetry.

    Raises:
        DeviceError: it is not installed, or cannot be loaded.
    """
    try:
        with imported_quietly():
            import openvino
    except ImportError as error:
        raise DeviceError(openvino_missing(safe_text(str(error), 200))) from error
    return openvino


def open_openvino(setup: Setup) -> Session:
    """Open the model; raises as `open_session` does."""
    settings = _settings(setup)
    weights = setup.model.with_suffix(".bin")
    _check_form(setup.model, weights)
    openvino = import_openvino()
    core = openvino.Core()
    version = openvino.get_version().partition("-")[0]
    try:
        # Both paths are given: nothing in the one file decides what else is opened.
        model = core.read_model(setup.model, weights)
    except _FAILURES as error:
        raise IntegrityError(
            f"{setup.model.name} is not a model that OpenVINO {version} can open: "
            f"{safe_text(str(error), 500)} A newer OpenVINO may be needed: pip install "
            f"'openvino{OPENVINO_VERSIONS}'."
        ) from error
    try:
        return OpenvinoSession(core.compile_model(model, "CPU", settings))
    except _FAILURES as error:
        raise DeviceError(
            f"OpenVINO {version} could not open {setup.model.name}: {safe_text(str(error), 500)}"
        ) from error


def _settings(setup: Setup) -> dict[str, str | int | bool]:
    if setup.provider != "cpu":
        raise DeviceError(
            f"OpenVINO is used on CPUs only, and the target's provider is {setup.provider!r}."
        )
    if setup.session.disabled_optimizers:
        raise RefusedInputError(
            "The session options name graph optimizers of ONNX Runtime, and the model runs on "
            "OpenVINO, which has none of these names."
        )
    for key in sorted(setup.session.config_entries):
        if key not in _ENTRIES_ALLOWED:
            raise RefusedInputError(
                f"The session entry {safe_text(key, 80)!r} is not one that a bundle may set. "
                f"Allowed: {', '.join(sorted(_ENTRIES_ALLOWED))}."
            )
    return dict(openvino_settings(setup.threads)) | setup.session.config_entries


def _check_form(model: Path, weights: Path) -> None:
    """Only OpenVINO's own files are shown to it: it reads six other kinds as well.

    Raises:
        IntegrityError: a file is missing.
        RefusedInputError: the model file is of another kind, or too large to be a graph.
    """
    for path in (model, weights):
        if not path.is_file():
            raise IntegrityError(f"{path.name} is missing; OpenVINO's form is two files.")
    if model.stat().st_size > _XML_MOST:
        raise RefusedInputError(f"{model.name} is larger than a graph can be; it is not opened.")
    with model.open("rb") as file:
        if not _BEGINNING.match(file.read(_LOOKED_AT)):
            raise RefusedInputError(
                f"{model.name} does not begin as OpenVINO's form of a model does; it is not opened."
            )
