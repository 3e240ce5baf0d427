"""Texts to the inputs of a model, as deployopt prepared them when it was measured.

Written by `deployopt export --as triton`. Needs numpy and tokenizers; `texts.py` and
`settings.json` lie beside it.
"""

import importlib.util
import json
from pathlib import Path
from typing import Any

import triton_python_backend_utils as pb_utils
from tokenizers import Tokenizer

HERE = Path(__file__).resolve().parent


class TritonPythonModel:
    """TEXT, UTF-8, becomes integer arrays."""

    def initialize(self, args: dict[str, str]) -> None:  # noqa: ARG002 -- Triton's call
        """Open the tokenizer."""
        settings = json.loads((HERE / "settings.json").read_text("utf-8"))
        self._names = settings["input_names"]
        self._preparer = _beside("texts").TextPreparer(
            Tokenizer.from_str((HERE / "tokenizer.json").read_text("utf-8")), **settings
        )

    def execute(self, requests: list[Any]) -> list[Any]:
        """One answer a request; a wrong one does not harm the others."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:  # noqa: ANN401 -- Triton's own
        given = pb_utils.get_input_tensor_by_name(request, "TEXT").as_numpy()
        try:
            texts = [value.decode("utf-8") for value in given.reshape(-1)]
            arrays = self._preparer.arrays(self._preparer.encode(texts))
        except Exception as error:  # noqa: BLE001 -- else Triton would end the whole model
            failure = pb_utils.TritonError(f"TEXT is not UTF-8 text that can be read: {error}")
            return pb_utils.InferenceResponse(output_tensors=[], error=failure)
        tensors = [pb_utils.Tensor(name, arrays[name]) for name in self._names]
        return pb_utils.InferenceResponse(output_tensors=tensors)


def _beside(name: str) -> Any:  # noqa: ANN401 -- a module
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    if spec is None or spec.loader is None:
        raise ImportError(f"{name}.py is missing in {HERE}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
