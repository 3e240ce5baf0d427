"""Images to the input of a model, as deployopt prepared them when it was measured.

Written by `deployopt export --as triton`. Needs numpy; `pixels.py` and `settings.json` lie beside
it. Files such as JPEG are decoded by whoever asks.
"""

import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

HERE = Path(__file__).resolve().parent


class TritonPythonModel:
    """IMAGE, uint8 `[height, width, channels]`, becomes the model's float32 input."""

    def initialize(self, args: dict[str, str]) -> None:  # noqa: ARG002 -- Triton's call
        """Read the settings."""
        settings = json.loads((HERE / "settings.json").read_text("utf-8"))
        self._name = settings["input_name"]
        self._wanted = SimpleNamespace(**settings)
        self._normalized = _beside("pixels").normalized

    def execute(self, requests: list[Any]) -> list[Any]:
        """One answer a request; a wrong one does not harm the others."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:  # noqa: ANN401 -- Triton's own
        given = pb_utils.get_input_tensor_by_name(request, "IMAGE").as_numpy()
        try:
            images = np.stack([self._normalized(image, self._wanted) for image in given])
        except Exception as error:  # noqa: BLE001 -- else Triton would end the whole model
            failure = pb_utils.TritonError(str(error))
            return pb_utils.InferenceResponse(output_tensors=[], error=failure)
        return pb_utils.InferenceResponse(output_tensors=[pb_utils.Tensor(self._name, images)])


def _beside(name: str) -> Any:  # noqa: ANN401 -- a module
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    if spec is None or spec.loader is None:
        raise ImportError(f"{name}.py is missing in {HERE}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
