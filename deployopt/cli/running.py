"""`run`: read the inputs, predict, print a line or an object each; a language model's answers."""

import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from deployopt.core.codec import encode_pretty
from deployopt.core.errors import ExitCode, RefusedInputError, UsageError
from deployopt.core.flowing_text import escaped_json, safe_lines
from deployopt.core.generation import GenerateResult, Sampling
from deployopt.core.interface import (
    ArrayInputs,
    ImageInputs,
    Interface,
    PairInputs,
    PromptInputs,
    TextInputs,
)
from deployopt.core.plain_arrays import read_arrays_of, read_one_array
from deployopt.core.text import safe_text

if TYPE_CHECKING:
    from deployopt.device.run import Box, Given, Prediction, Predictor

_FILE_MAX: Final = 256 * 2**20
_ARRAYS_MAX: Final = 4 * 2**30
"""Unpacked."""
_PATH_MAX: Final = 4096
_SHOWN: Final = 60


def predict_and_print(
    predictor: "Predictor",
    inputs: list[str],
    file: Path | None,
    *,
    images: Sequence[Path] = (),
    sampling: Sampling | None = None,
    json: bool,
) -> int:
    """Answer every input, in order.

    Raises:
        UsageError: no input, or a file that the model cannot take; or `sampling` says something
            to a model that draws no tokens.
    """
    if predictor.interface.pairs:
        _refuse_sampling(sampling)
        return _match(predictor, inputs, images, file, json=json)
    of_images = isinstance(predictor.interface.inputs, ImageInputs)
    if images and not of_images:
        raise UsageError("--image is for models of images, and this bundle takes something else.")
    given: list[Given] = [*(Path(one) if of_images else one for one in inputs), *images]
    if file is not None:
        given += read_inputs(file, predictor.interface)
    if not given:
        raise UsageError(
            'There is nothing to predict. Give inputs behind the bundle, such as "some text", or '
            "a file with --input."
        )
    if predictor.interface.generates:
        texts = [one for one in given if isinstance(one, str)]
        return _generate(predictor, texts, sampling or Sampling(), json=json)
    _refuse_sampling(sampling)
    predictions = predictor.predict(given)
    if json:
        sys.stdout.write(encode_pretty(predictions).decode())
    else:
        for one, prediction in zip(given, predictions, strict=True):
            sys.stdout.write(_line(one, prediction))
    return ExitCode.ACCEPTED


def _refuse_sampling(sampling: Sampling | None) -> None:
    if sampling is not None and sampling.says_something:
        raise UsageError(
            "--temperature, --seed and --max-tokens are for language models, and this bundle is of "
            "another kind. Leave them out."
        )


def _match(
    predictor: "Predictor",
    texts: Sequence[str],
    images: Sequence[Path],
    file: Path | None,
    *,
    json: bool,
) -> int:
    """Each image with every text, the best first."""
    given = [*texts, *(read_inputs(file, predictor.interface) if file is not None else ())]
    predictions = predictor.match(images, [one for one in given if isinstance(one, str)])
    if json:
        sys.stdout.write(encode_pretty(predictions).decode())
        return ExitCode.ACCEPTED
    for image, prediction in zip(images, predictions, strict=True):
        for text, share in sorted(prediction.scores.items(), key=lambda one: -one[1]):
            sys.stdout.write(f"{share:.3f}  {safe_text(text, 80)}  {_named(image)}\n")
    return ExitCode.ACCEPTED


def _generate(
    predictor: "Predictor", texts: Sequence[str], sampling: Sampling, *, json: bool
) -> int:
    """Each text by itself, without what came before."""
    answers = []
    for text in texts:
        answer = predictor.generate(text, sampling=sampling)
        answers.append(answer)
        if not json:
            sys.stdout.write(f"{safe_lines(answer.text)}\n")
            sys.stdout.flush()
    if json:
        result = GenerateResult(answers=tuple(answers))
        sys.stdout.write(escaped_json(encode_pretty(result)).decode())
    return ExitCode.ACCEPTED


def read_inputs(path: Path, interface: Interface) -> "list[Given]":
    """Texts, a line each; arrays of an .npy or .npz file, an entry each; or one image.

    Raises:
        UsageError: there is no such file, or it is not of these forms.
    """
    if not path.is_file():
        raise UsageError(f"There is no file {path}. Give one that exists with --input.")
    if path.stat().st_size > _FILE_MAX:
        raise UsageError(f"{path} is larger than {_FILE_MAX // 2**20} MiB. Split it.")
    if isinstance(interface.inputs, TextInputs | PromptInputs | PairInputs):
        return _lines(path)
    if path.suffix in {".npy", ".npz"}:
        return _arrays(path, interface)
    return [path]


def _lines(path: Path) -> "list[Given]":
    try:
        return [line for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text (byte {error.start}). Convert it.") from error


def _arrays(path: Path, interface: Interface) -> "list[Given]":
    """Entries along the first dimension; each keeps a batch dimension of 1 for a plain graph."""
    try:
        arrays = read_arrays_of(path, _ARRAYS_MAX) if zipfile.is_zipfile(path) else {}
        loaded = None if arrays else read_one_array(path, _ARRAYS_MAX)
    except RefusedInputError as error:
        raise UsageError(str(error)) from error
    names = (
        [i.name for i in interface.inputs.inputs]
        if isinstance(interface.inputs, ArrayInputs)
        else []
    )
    if not names:
        images = next(iter(arrays.values())) if loaded is None else loaded
        return list(images) if images.ndim == 4 else [images]  # noqa: PLR2004 -- [n, h, w, c]
    arrays = arrays if loaded is None else {names[0]: loaded}
    missing = [name for name in names if name not in arrays]
    if missing:
        raise UsageError(f"{path} has no array {missing[0]!r}; it has {', '.join(arrays)}.")
    if any(arrays[name].ndim == 0 for name in names):
        raise UsageError(f"{path} holds a single number. Give entries along the first dimension.")
    count = min(len(arrays[name]) for name in names)
    return [{name: arrays[name][i : i + 1] for name in names} for i in range(count)]


def _line(given: "Given", prediction: "Prediction") -> str:
    if prediction.boxes is not msgspec.UNSET:
        return _box_lines(given, prediction.boxes)
    if prediction.label is None:
        return encode_pretty(prediction.outputs).decode()
    return f"{safe_text(prediction.label, 80)}  {prediction.score:.3f}  {_named(given)}\n"


def _box_lines(given: "Given", boxes: "Sequence[Box]") -> str:
    """A line a box: what it is, how sure, and left, top, right, bottom in pixels."""
    lines = [
        f"{safe_text(box.label, 80)}  {box.score:.3f}  "
        f"{box.left:.1f} {box.top:.1f} {box.right:.1f} {box.bottom:.1f}  {_named(given)}"
        for box in boxes
    ]
    return "".join(f"{line}\n" for line in lines or [f"nothing found  {_named(given)}"])


def _named(given: "Given") -> str:
    if isinstance(given, Path):
        # Of a long path the end tells one image from another.
        path = safe_text(str(given), _PATH_MAX)
        return path if len(path) <= _SHOWN else f"…{path[1 - _SHOWN :]}"
    return safe_text(given, _SHOWN) if isinstance(given, str) else "array"
