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
from deployopt.core.errors import MissingExtraError, RefusedInputError, StorageError
from deployopt.core.matrix import CellRequest
from deployopt.core.measurement import Machine
from deployopt.core.target import Target
from deployopt.core.version import VERSION
from deployopt.pipeline.making import tool_versions
from deployopt.sources.naming import GRAPH
from deployopt.sources.onnx_file import onnx_files
from deployopt.store.digests import DigestMemo, entries_digest, folder_entries
from deployopt.store.keys import JsonValue, cache_key
from deployopt.store.listing import list_folder

_VERSION: Final = 1
TOOLS: Final = (
    *("onnx", "onnxruntime", "openvino", "onnxruntime-genai", "tensorrt-rtx-cu13", "tensorrt"),
    *("torch", "transformers", "diffusers"),
)


class Keys:
    """Keys of many cells that are measured by one machine; what they share is read once."""

    def __init__(self, machine: Machine) -> None:
        self._inputs = Inputs()
        self._targets: dict[int, tuple[Target, str]] = {}
        shared: dict[str, JsonValue] = {
            "matrix": _VERSION,
            "deployopt": VERSION,
            "tools": tool_versions(TOOLS),
            "machine": _lasting(machine),
        }
        self._shared = cache_key(shared)

    def of(self, request: CellRequest) -> str:
        """The key of a cell whose own is not filled in yet; places on the disk are not in it."""
        given = _named(request)
        paths = {role: text for role, text in given.items() if Path(text).is_absolute()}
        return cache_key(
            {
                "shared": self._shared,
                "names": {role: text for role, text in given.items() if role not in paths},
                "files": {role: self._file(text) for role, text in paths.items()},
                "target": self._of_target(request.target),
                "budgets": {budget.metric: float(budget.limit) for budget in request.budgets},
                "columns": dict(request.columns),
                "effort": request.effort or "",
                "time_limit_s": float(request.time_limit_s or 0),
                "accept_predicted": request.accept_predicted,
                "unsafe_load_pickle": request.unsafe_load_pickle,
                "runtime": request.runtime or "",
                "seed": request.seed,
                "device": request.device or "",
            }
        )

    def _file(self, path: str) -> JsonValue:
        """Its digest; of what has none one that nothing else has: it never counts as done."""
        found = self._inputs.digest(path)
        return secrets.token_hex(32) if found is None else found

    def _of_target(self, target: Target) -> str:
        """Cells of one column share one object, which is kept so that its number stays its own."""
        if id(target) not in self._targets:
            digest = hashlib.sha256(encode_json(target)).hexdigest()
            self._targets[id(target)] = (target, digest)
        return self._targets[id(target)][1]


class Inputs:
    """What cells name by a path: each is read once."""

    def __init__(self) -> None:
        self._memo = DigestMemo()
        self._known: dict[str, JsonValue] = {}

    def of(self, request: CellRequest) -> dict[str, str]:
        """The digest of each path; of what cannot be read or may not be, none."""
        found = {path: self.digest(path) for path in named_paths(request)}
        return {path: cache_key({"input": one}) for path, one in found.items() if one is not None}

    def digest(self, path: str) -> JsonValue:
        """Of what is there; None of what may not be digested."""
        if path not in self._known:
            try:
                self._known[path] = self._read(Path(path))
            except (RefusedInputError, MissingExtraError, StorageError, OSError):
                # Whoever builds it says what is wrong.
                self._known[path] = None
        return self._known[path]

    def _read(self, path: Path) -> JsonValue:
        if path.is_dir():
            return entries_digest(folder_entries(path, self._memo))
        return {name: self._memo.sha256(path.parent / name) for name in input_files(path)}


def named_paths(request: CellRequest) -> list[str]:
    """What of its model and data is named by a path."""
    return [text for text in _named(request).values() if Path(text).is_absolute()]


def input_files(path: Path) -> Sequence[str]:
    """Names of the files that belong to it, relative to the folder that holds it."""
    if path.is_dir():
        return tuple(f"{path.name}/{name}" for name in list_folder(path).sizes_bytes)
    return onnx_files(path) if path.suffix == GRAPH else (path.name,)


def _named(request: CellRequest) -> dict[str, str]:
    """Names and paths, by what they are for."""
    asked = {
        "model": request.model,
        "data": request.data,
        "questions": request.questions,
        "labels": request.labels,
        "train_data": request.train_data,
        "unlabelled": request.unlabelled,
        "lock": request.lock,
    }
    return {role: text for role, text in asked.items() if text is not None}


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
