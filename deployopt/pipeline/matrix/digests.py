"""What a cell's result follows from, as one key: the same key means that nothing is to be done.

In: what the cell asks for. Out: 64 hex digits over the request, the bytes of the model's and the
data's files, the target, the versions of what builds, and the machine that measures. A name on the
hub or in the catalogue counts by itself: pin a revision where it must not drift.
"""

import hashlib
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from deployopt.core.codec import encode_json
from deployopt.core.errors import MissingExtraError, RefusedInputError
from deployopt.core.matrix import CellRequest
from deployopt.core.measurement import Machine
from deployopt.core.version import VERSION
from deployopt.pipeline.making import tool_versions
from deployopt.sources.naming import GRAPH
from deployopt.sources.onnx_file import onnx_files
from deployopt.store.digests import DigestMemo, entries_digest, folder_entries
from deployopt.store.keys import JsonValue, cache_key

_VERSION: Final = 1
_TOOLS: Final = ("onnx", "onnxruntime", "openvino", "onnxruntime-genai", "torch", "transformers")


class Keys:
    """Keys of many cells that are measured by one machine; what they share is read once."""

    def __init__(self, machine: Machine) -> None:
        self._memo = DigestMemo()
        self._known: dict[str, JsonValue] = {}
        shared: dict[str, JsonValue] = {
            "matrix": _VERSION,
            "deployopt": VERSION,
            "tools": tool_versions(_TOOLS),
            "machine": _lasting(machine),
        }
        self._shared = cache_key(shared)

    def of(self, request: CellRequest) -> str:
        """The key of a cell whose own is not filled in yet; places on the disk are not in it."""
        asked = {
            "model": request.model,
            "data": request.data,
            "questions": request.questions,
            "train_data": request.train_data,
        }
        given = {role: text for role, text in asked.items() if text is not None}
        paths = {role: text for role, text in given.items() if Path(text).is_absolute()}
        return cache_key(
            {
                "shared": self._shared,
                "names": {role: text for role, text in given.items() if role not in paths},
                "files": {role: self._digest(text) for role, text in paths.items()},
                "target": hashlib.sha256(encode_json(request.target)).hexdigest(),
                "budgets": {budget.metric: float(budget.limit) for budget in request.budgets},
                "columns": dict(request.columns),
                "effort": request.effort or "",
                "time_limit_s": float(request.time_limit_s or 0),
                "accept_predicted": request.accept_predicted,
                "seed": request.seed,
                "device": request.device or "",
            }
        )

    def _digest(self, path: str) -> JsonValue:
        """Of what is there; of what may not be digested one that nothing else has."""
        if path not in self._known:
            try:
                self._known[path] = self._read(Path(path))
            except (RefusedInputError, MissingExtraError, OSError):
                # Whoever builds it says what is wrong; it is only never taken as done.
                self._known[path] = secrets.token_hex(32)
        return self._known[path]

    def _read(self, path: Path) -> JsonValue:
        if path.is_dir():
            return entries_digest(folder_entries(path, self._memo))
        names: Sequence[str] = onnx_files(path) if path.suffix == GRAPH else (path.name,)
        return {name: self._memo.sha256(path.parent / name) for name in names}


def _lasting(machine: Machine) -> JsonValue:
    """What of a machine decides its figures and stays from call to call."""
    return {
        "arch": machine.arch,
        "cpu": machine.cpu,
        "board": machine.board or "",
        "cores": machine.cores,
        "affinity": list(machine.affinity),
        "memory_bytes": machine.memory_bytes,
    }
