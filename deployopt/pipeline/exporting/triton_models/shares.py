"""A classifier's logits to labels and probabilities, as `deployopt run` gives them.

Written by `deployopt export --as triton`. Needs numpy; `shares.py` and `settings.json` lie beside
it.
"""

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

HERE = Path(__file__).resolve().parent


class TritonPythonModel:
    """LOGITS `[batch, labels]` become PROBABILITIES and the best one's LABEL."""

    def initialize(self, args: dict[str, str]) -> None:  # noqa: ARG002 -- Triton's call
        """Read the labels."""
        settings = json.loads((HERE / "settings.json").read_text("utf-8"))
        self._labels = settings["labels"]
        self._shares = getattr(_beside("shares"), settings["shares"])

    def execute(self, requests: list[Any]) -> list[Any]:
        """One answer a request; a wrong one does not harm the others."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:  # noqa: ANN401 -- Triton's own
        logits = pb_utils.get_input_tensor_by_name(request, "LOGITS").as_numpy()
        try:
            shares = np.stack([self._shares(row.astype(np.float32)) for row in logits])
        except Exception as error:  # noqa: BLE001 -- else Triton would end the whole model
            failure = pb_utils.TritonError(str(error))
            return pb_utils.InferenceResponse(output_tensors=[], error=failure)
        best = [[self._labels[int(np.argmax(row))].encode()] for row in shares]
        tensors = [
            pb_utils.Tensor("LABEL", np.array(best, dtype=np.object_)),
            pb_utils.Tensor("PROBABILITIES", shares),
        ]
        return pb_utils.InferenceResponse(output_tensors=tensors)


def _beside(name: str) -> Any:  # noqa: ANN401 -- a module
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    if spec is None or spec.loader is None:
        raise ImportError(f"{name}.py is missing in {HERE}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
