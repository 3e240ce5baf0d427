"""A request made ready to travel: relative paths, and the files that these name.

In: a request with paths of this machine. Out: the same request with paths relative to a folder of
the device, and which file belongs at each. A model brings what lies beside it: the one file of
external data that ONNX graphs here have, the weights of OpenVINO's form, the graph that a language
model's settings name.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.codec import encode_json
from deployopt.core.errors import IntegrityError
from deployopt.core.interface import DrawingInputs, PairInputs, TextInputs
from deployopt.device.drawing.files import graph_files, is_pipeline
from deployopt.device.generating.config import read_genai_config
from deployopt.device.protocol import (
    EvaluateRequest,
    Request,
    ScoreRequest,
    SettingRequest,
    TimeRequest,
)
from deployopt.device.relocating import relocated
from deployopt.device.serving_words import Ask, Placed
from deployopt.device.setup import Limits, Setup
from deployopt.remote.sending import LocalFile, local_file
from deployopt.store.digests import DigestMemo
from deployopt.store.faults import storage_errors
from deployopt.store.keys import frame_fields
from deployopt.store.paths import path_problem

_EXTERNAL: Final = (".data", "_data")
_RESULT: Final = Path("result")
_FOLDER: Final = Path("data")


class Travelling(msgspec.Struct, frozen=True, kw_only=True):
    """A request, and its files by the path that they are to have."""

    request: Request
    files: dict[Path, LocalFile]

    def ask(self, limits: Limits) -> Ask:
        """As it is said to the device."""
        placed = tuple(Placed(path=p, sha256=f.sha256) for p, f in self.files.items())
        return Ask(request=msgspec.Raw(encode_json(self.request)), limits=limits, files=placed)


def made_ready(request: Request, memo: DigestMemo) -> Travelling:
    """Look at every file of the request.

    Raises:
        StorageError: one cannot be read.
        IntegrityError: the tokenizer is said to lie outside of its folder.
    """
    where: dict[Path, Path] = {}
    files: dict[Path, LocalFile] = {}
    for group in [_model_files(request.setup), *_groups(request)]:
        places = _placed(group, memo)
        files |= dict(places.values())
        where |= {path: place for path, (place, _) in places.items()}
    if isinstance(request, EvaluateRequest):
        # Where nothing is read from the folder, it need not be there.
        tokenizer = next(iter(_data_files(request)), None)
        where[request.data.folder] = _FOLDER if tokenizer is None else where[tokenizer].parent
    return Travelling(request=relocated(request, where.__getitem__, _RESULT), files=files)


def _groups(request: Request) -> list[list[Path]]:
    """What is read beside the model; the files of a group stay together."""
    if isinstance(request, EvaluateRequest):
        return [_data_files(request), [request.data.examples]]
    if isinstance(request, ScoreRequest):
        texts = (request.documents, request.asked, request.chosen, request.timed)
        return [[path] for path in (*texts, request.choices) if path is not None]
    if isinstance(request, SettingRequest):
        return [[request.prompts]]
    asked = request.feeds if isinstance(request, TimeRequest) else request.prompts
    return [[asked], [] if request.expected is None else [request.expected]]


def _model_files(setup: Setup) -> list[Path]:
    model = setup.model
    if setup.runtime == "onnxruntime-genai":
        graph = model.with_name(read_genai_config(model).model.decoder.filename)
        weights = [graph.with_name(graph.name + end) for end in _EXTERNAL]
        return [model, graph, *(path for path in weights if path.is_file())]
    if is_pipeline(model):
        return [model, *graph_files(model)]
    if setup.runtime == "openvino":
        beside = [model.with_suffix(".bin")]
    else:
        beside = [model.with_name(model.name + end) for end in _EXTERNAL]
    return [model, *(path for path in beside if path.is_file())]


def _data_files(request: EvaluateRequest) -> list[Path]:
    inputs = request.data.interface.inputs
    if isinstance(inputs, PairInputs):
        inputs = inputs.text
    if not isinstance(inputs, TextInputs | DrawingInputs):
        return []
    if "/" in inputs.tokenizer or path_problem(inputs.tokenizer) is not None:
        raise IntegrityError(f"The tokenizer's name {inputs.tokenizer!r} is not a plain one.")
    return [request.data.folder / inputs.tokenizer]


def _placed(group: Sequence[Path], memo: DigestMemo) -> dict[Path, tuple[Path, LocalFile]]:
    """Files that keep their names, together in a folder that is named by what they are."""
    found: list[LocalFile] = []
    for path in group:
        with storage_errors("reading", path):
            found.append(local_file(path, memo))
    digest = hashlib.sha256()
    for path, file in zip(group, found, strict=True):
        digest.update(frame_fields([path.name.encode(), file.sha256.encode()]))
    folder = Path(digest.hexdigest()[:32])
    return {p: (folder / p.name, f) for p, f in zip(group, found, strict=True)}
