"""The reference's own answers, kept with the gate split, so that the device needs no reference.

In: an accuracy run's outputs. Out: classes and outputs by example, as one npz file and back.
Refuses a file that is not one. Classification keeps `outputs` float32 `[n, C]` and `classes` int64
`[n]`; any other graph keeps its outputs request by request (core/samples.py).
"""

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from deployopt.core.errors import IntegrityError, RefusedInputError
from deployopt.core.interface import Interface
from deployopt.core.plain_arrays import read_arrays_of
from deployopt.core.samples import BYTES_MAX, Feed, decode_samples, encode_samples

_OUTPUTS: Final = "outputs"
_CLASSES: Final = "classes"
_LOGITS_RANK: Final = 2
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """What the reference answers to each example; the other fields are None for other tasks."""

    logits: npt.NDArray[np.float32] | None = None
    classes: npt.NDArray[np.int64] | None = None
    results: tuple[Feed, ...] | None = None

    def __len__(self) -> int:
        if self.classes is not None:
            return len(self.classes)
        return len(self.results or ())


def reference_of(interface: Interface, outputs: Sequence[Feed]) -> Reference:
    """The answers in an accuracy run's outputs."""
    if not interface.classifies:
        return Reference(results=tuple(outputs))
    logits = logits_of(interface, outputs)
    return Reference(logits=logits, classes=classes_of(logits))


def logits_of(interface: Interface, outputs: Sequence[Feed]) -> npt.NDArray[np.float32]:
    """`[n, C]` of all requests, from the first output.

    Raises:
        IntegrityError: the model's output has another form, or another number of classes.
    """
    name = interface.outputs[0]
    parts = [np.asarray(output[name], dtype=np.float32) for output in outputs]
    wanted = len(interface.labels) or None
    for part in parts:
        if part.ndim != _LOGITS_RANK or (wanted is not None and part.shape[1] != wanted):
            raise IntegrityError(
                f"The output {name!r} has the form {list(part.shape)}; a classifier of "
                f"{wanted or 'several'} labels gives [batch, {wanted or 'labels'}]."
            )
    if not parts:
        return np.zeros((0, wanted or 0), dtype=np.float32)
    return np.concatenate(parts)


def classes_of(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """The index of the greatest logit; -1 where one is not finite."""
    finite = np.isfinite(logits).all(axis=1)
    best = np.argmax(np.where(np.isfinite(logits), logits, -np.inf), axis=1)
    return np.where(finite, best, -1).astype(np.int64)


def encode_reference(reference: Reference) -> bytes:
    """The npz bytes; the same answers give the same bytes."""
    if reference.results is not None:
        return encode_samples(reference.results)
    buffer = io.BytesIO()
    arrays = {_CLASSES: reference.classes, _OUTPUTS: reference.logits}
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, array in arrays.items():
            if array is not None:
                entry = io.BytesIO()
                np.lib.format.write_array(entry, np.asarray(array, order="C"), allow_pickle=False)
                archive.writestr(zipfile.ZipInfo(f"{name}.npy", _EPOCH), entry.getvalue())
    return buffer.getvalue()


def decode_reference(path: Path) -> Reference:
    """Read what `encode_reference` wrote.

    Raises:
        RefusedInputError: not such a file.
    """
    found = read_arrays_of(path, BYTES_MAX)
    arrays = {name: found[name] for name in (_CLASSES, _OUTPUTS) if name in found}
    if not arrays:
        return Reference(results=tuple(decode_samples(path)))
    classes, logits = arrays.get(_CLASSES), arrays.get(_OUTPUTS)
    if classes is None and logits is not None:
        classes = classes_of(logits)
    if classes is None or classes.ndim != 1 or (logits is not None and len(logits) != len(classes)):
        raise RefusedInputError(f"{path} is not a file of answers: its arrays do not fit together.")
    return Reference(logits=logits, classes=classes)
