"""A request's body becomes inputs for a bundle, by what the bundle takes.

In: the kind that the request says, its bytes. Out: texts, images or arrays. Refuses other kinds
(415), what is not of its form (400), and more inputs than a request may have (413).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from deployopt.core.errors import UsageError
from deployopt.core.interface import ArrayInputs, ImageInputs, Interface
from deployopt.core.text import safe_text
from deployopt.device.endpoint.limits import RefusedRequestError
from deployopt.device.images import decode_image

if TYPE_CHECKING:
    from deployopt.device.run import Given

JSON: Final = "application/json"
_IMAGES: Final = ("image/", "application/octet-stream", "application/x-npy")
_SHOWN: Final = 200


class Texts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`{"inputs": ["a text", …]}`."""

    inputs: list[str]


class Arrays(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`{"inputs": [{"name": nested lists}, …]}`, each with its own batch dimension of 1."""

    inputs: list[dict[str, Any]]


def inputs_of(interface: Interface, kind: str, body: bytes, most: int) -> "list[Given]":
    """The inputs of one request; `kind` is its Content-Type.

    Raises:
        RefusedRequestError: with the status, and what would be right.
    """
    kind = kind.partition(";")[0].strip().lower()
    if isinstance(interface.inputs, ImageInputs):
        return [_image(kind, body)]
    if kind != JSON:
        raise RefusedRequestError(415, f"Send JSON, with Content-Type: {JSON}.")
    if isinstance(interface.inputs, ArrayInputs):
        found = _decoded(body, Arrays, '{"inputs": [{"NAME": [[1.0]]}]}').inputs
        _check_count(found, most)
        return [_arrays(interface.inputs, one) for one in found]
    texts = _decoded(body, Texts, '{"inputs": ["a text"]}').inputs
    _check_count(texts, most)
    return list(texts)


def _image(kind: str, body: bytes) -> "Given":
    if not kind.startswith(_IMAGES):
        raise RefusedRequestError(
            415,
            "Send one image as the body, with Content-Type: image/jpeg, image/png, image/bmp or "
            "image/webp; or a .npy file, uint8 [height, width, channels], as application/x-npy.",
        )
    try:
        return decode_image(body, "The body")
    except UsageError as error:
        raise RefusedRequestError(400, str(error)) from error


def _decoded(body: bytes, form: "type[Any]", example: str) -> Any:  # noqa: ANN401 -- of the form
    try:
        return msgspec.json.decode(body, type=form)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        why = safe_text(str(error), _SHOWN)
        raise RefusedRequestError(400, f"The body is not of the form {example}: {why}.") from error


def _check_count(inputs: Sequence[object], most: int) -> None:
    if not inputs:
        raise RefusedRequestError(400, "There are no inputs in the request.")
    if len(inputs) > most:
        raise RefusedRequestError(
            413, f"A request may have {most} inputs, and this one has {len(inputs)}. Send several."
        )


def _arrays(wanted: ArrayInputs, given: dict[str, Any]) -> "Given":
    kinds = {item.name: item.dtype for item in wanted.inputs}
    odd = [name for name in given if name not in kinds]
    if odd:
        raise RefusedRequestError(
            400, f"There is no input {safe_text(odd[0], 80)!r}; there is {', '.join(kinds)}."
        )
    try:
        return {name: np.asarray(value, dtype=kinds[name]) for name, value in given.items()}
    except (ValueError, TypeError, OverflowError) as error:
        why = safe_text(str(error), _SHOWN)
        raise RefusedRequestError(400, f"An array cannot be read: {why}.") from error
