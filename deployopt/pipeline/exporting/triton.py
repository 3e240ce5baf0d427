"""A bundle as a model repository of Triton Inference Server.

In: a request for an accepted or provisional bundle. Out: a folder with the model, what makes inputs
of texts or images and labels of logits, and an ensemble of these; every `config.pbtxt` says what
was measured. Refuses what Triton has no backend for, and a name that is none there.
"""

import hashlib
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec

from deployopt.core.errors import UsageError
from deployopt.core.exporting import Exported, ExportRequest
from deployopt.core.interface import ArrayInputs, ImageInputs, Interface, TextInputs
from deployopt.core.text import safe_text
from deployopt.device.tensors import Tensor, Tensors, read_tensors
from deployopt.pipeline.exporting import triton_models
from deployopt.pipeline.exporting.likeness import Likeness, likeness_of
from deployopt.pipeline.exporting.served import Served, open_served
from deployopt.pipeline.exporting.triton_batching import Batching, batching_of
from deployopt.pipeline.exporting.triton_config import (
    Repository,
    ensemble_config,
    model_config,
    pixels_config,
    shares_config,
    texts_config,
)
from deployopt.pipeline.exporting.triton_session import TritonSession, session_of
from deployopt.pipeline.exporting.triton_words import README, SUMS, readme
from deployopt.store.handing import hand_over_folder, require_nothing_at
from deployopt.store.store import Store

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NAME_MAX: Final = 64
_OTHERS: Final = re.compile(r"[^A-Za-z0-9._-]+")
_LABELS: Final = "labels.txt"
_SETTINGS: Final = "settings.json"
_TEMPLATES: Final = Path(triton_models.__file__).parent
_PREPARING: Final = Path(__file__).parents[2] / "device" / "preparing"


def export_triton(request: ExportRequest, store: Store) -> Exported:  # noqa: ARG001 -- a form's call
    """Write the model repository.

    Raises:
        UsageError: not a bundle that can be served so, a wrong name, or something at the output.
        IntegrityError: the bundle is not the one that was built, or the key does not vouch for it.
        StorageError: there is no room.
    """
    require_nothing_at(request.output)
    served = open_served(request)
    manifest = served.bundle.manifest
    name = _name_of(manifest.name) if request.name is None else request.name
    if _NAME.fullmatch(name) is None:
        raise UsageError(
            f"{safe_text(name, 80)!r} is no name for a model in Triton, whose folder and address "
            "it becomes: at most 64 letters, digits, dots, dashes and underscores, the first of "
            "them a letter or digit. Give one with --name."
        )
    session = session_of(manifest, served.bundle.target)
    tensors = _chosen(manifest.interface, read_tensors(_model(served), manifest.runtime))
    batching = batching_of(served, tensors)
    like = likeness_of(served.bundle, session.heeded) if _can_ask(session) else None
    told = Repository(
        name=name,
        served=served,
        session=session,
        batching=batching,
        tensors=tensors,
        untold=_untold(session, like),
    )
    copies, digests = _copies(served, name)
    texts = _texts(told)
    texts[SUMS] = _sums(texts, digests)
    files = hand_over_folder(copies, texts, request.output, digests=digests)
    return Exported(
        model=f"{manifest.name}, {served.word} on {manifest.target}",
        precision=manifest.precision,
        files=files,
        settings=_settings(session, batching),
        evidence=tuple(served.evidence()),
        start=f"tritonserver --model-repository={shlex.quote(str(request.output))}",
        todo=_todo(manifest.interface),
        warnings=(*served.warnings, *told.untold),
    )


def _model(served: Served) -> Path:
    return served.bundle.folder / served.bundle.manifest.model


def _chosen(interface: Interface, tensors: Tensors) -> Tensors:
    """What the bundle gives to the model and asks of it, in its order; old files list weights too.

    Raises:
        UsageError: one of them is not declared, or has no shape.
    """
    inputs = _declared(_names(interface), tensors.inputs)
    return Tensors(inputs=inputs, outputs=_declared(interface.outputs, tensors.outputs))


def _name_of(bundle: str) -> str:
    """The bundle's name without the folders that its model was given by, as Triton takes it."""
    tail = bundle.replace("\\", "/").rpartition("/")[2]
    return _OTHERS.sub("-", tail).lstrip(".-_")[:_NAME_MAX] or "model"


def _declared(names: Sequence[str], tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    by_name = {tensor.name: tensor for tensor in tensors if tensor.shape}
    missing = next((name for name in names if name not in by_name), None)
    if missing is not None:
        raise UsageError(
            f"The model's file declares no shape of {safe_text(missing, 80)!r}, and none is "
            "guessed. Triton takes arrays of one dimension or more."
        )
    return tuple(by_name[name] for name in names)


def _names(interface: Interface) -> tuple[str, ...]:
    inputs = interface.inputs
    if isinstance(inputs, TextInputs):
        return inputs.input_names
    if isinstance(inputs, ImageInputs):
        return (inputs.input_name,)
    return tuple(item.name for item in inputs.inputs) if isinstance(inputs, ArrayInputs) else ()


def _can_ask(session: TritonSession) -> bool:
    return session.backend == "onnxruntime" and bool(session.untold)


def _untold(session: TritonSession, like: Likeness | None) -> tuple[str, ...]:
    return (*session.untold, *(() if like is None else (like.words,)))


def _copies(served: Served, name: str) -> tuple[dict[str, Path], dict[str, str]]:
    """The model's files beside each other, what runs before and after; digests of the bundle's."""
    bundle, manifest = served.bundle, served.bundle.manifest
    folder = PurePosixPath(manifest.model).parent
    inputs = manifest.interface.inputs
    by_path = {entry.path: entry.sha256 for entry in manifest.files}
    places = {
        path: f"{name}/1/{PurePosixPath(path).relative_to(folder)}"
        for path in manifest.deployed
        if PurePosixPath(path).is_relative_to(folder)
        and not (isinstance(inputs, TextInputs) and path == inputs.tokenizer)
    }
    copies: dict[str, Path] = {}
    if isinstance(inputs, TextInputs):
        places[inputs.tokenizer] = f"{name}_text/1/tokenizer.json"
        copies |= _python(f"{name}_text", "texts")
    elif isinstance(inputs, ImageInputs):
        copies |= _python(f"{name}_image", "pixels")
    if _answers(manifest.interface):
        copies |= _python(f"{name}_labels", "shares")
    digests = {place: by_path[path] for path, place in places.items()}
    digests |= {place: _digest(path.read_bytes()) for place, path in copies.items()}
    return {**copies, **{place: bundle.folder / path for path, place in places.items()}}, digests


def _python(model: str, kind: str) -> dict[str, Path]:
    return {
        f"{model}/1/model.py": _TEMPLATES / f"{kind}.py",
        f"{model}/1/{kind}.py": _PREPARING / f"{kind}.py",
    }


def _answers(interface: Interface) -> bool:
    """Whether texts or images go in, and labels come out."""
    return bool(interface.labels) and isinstance(interface.inputs, TextInputs | ImageInputs)


def _texts(told: Repository) -> dict[str, str]:
    interface, name = told.served.bundle.manifest.interface, told.name
    texts = {f"{name}/config.pbtxt": model_config(told)}
    if interface.labels:
        texts[f"{name}/{_LABELS}"] = "".join(f"{safe_text(one)}\n" for one in interface.labels)
    if isinstance(interface.inputs, TextInputs):
        texts[f"{name}_text/config.pbtxt"] = texts_config(told)
        texts[f"{name}_text/1/{_SETTINGS}"] = _json(_text_settings(told, interface.inputs))
    elif isinstance(interface.inputs, ImageInputs):
        texts[f"{name}_image/config.pbtxt"] = pixels_config(told)
        texts[f"{name}_image/1/{_SETTINGS}"] = _json(msgspec.to_builtins(interface.inputs))
    if _answers(interface):
        texts[f"{name}_labels/config.pbtxt"] = shares_config(told)
        texts[f"{name}_labels/1/{_SETTINGS}"] = _json(_shares_settings(interface))
        texts[f"{name}_ensemble/config.pbtxt"] = ensemble_config(told)
        # Triton wants a folder for the version, though nothing is in it.
        texts[f"{name}_ensemble/1/{README}"] = "An ensemble has no file of its own.\n"
    texts[README] = readme(told)
    return texts


def _shares_settings(interface: Interface) -> dict[str, object]:
    """The labels, and which function of shares.py makes probabilities of logits."""
    shares = "sigmoid" if interface.apart else "softmax"
    return {"labels": list(interface.labels), "shares": shares}


def _text_settings(told: Repository, inputs: TextInputs) -> dict[str, object]:
    length = told.served.bundle.target.workload.length
    return {
        "input_names": list(inputs.input_names),
        "max_length": inputs.max_length,
        "pad_id": inputs.pad_id,
        "fixed": None if length == "real" else int(length),
    }


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n"


def _sums(texts: Mapping[str, str], digests: Mapping[str, str]) -> str:
    """As sha256sum writes and checks them."""
    every = {**digests, **{name: _digest(text.encode()) for name, text in texts.items()}}
    return "".join(f"{every[name]}  {name}\n" for name in sorted(every))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _settings(session: TritonSession, batching: Batching) -> dict[str, str | int | float]:
    said: dict[str, str | int | float] = {
        "backend": session.backend,
        "max_batch_size": batching.largest,
    }
    if batching.delay_us is not None:
        said["max_queue_delay_microseconds"] = batching.delay_us
    kind = "KIND_GPU" if batching.gpus else "KIND_CPU"
    return {**said, "instance_group": f"{batching.instances} of {kind}", **session.parameters}


def _todo(interface: Interface) -> tuple[str, ...]:
    if not isinstance(interface.inputs, TextInputs):
        return ()
    said = (
        "Triton's own image has numpy and no tokenizers: add `RUN pip install tokenizers` to an "
        f"image made of it (the version that was measured stands in {README})."
    )
    return (said,)
