"""The shapes of requests that something built ahead has to answer: least, usual, most.

In: what a model takes, a workload, inputs that were seen. Out: a range for every input.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from deployopt.core.engine import InputRange
from deployopt.core.interface import (
    TEXTS_AT_ONCE,
    ImageInputs,
    Interface,
    PairInputs,
    TextInputs,
)
from deployopt.core.workload import Workload

if TYPE_CHECKING:  # the name of a type should not cost a person numpy's import
    from deployopt.core.samples import Feed


def profile_for(
    interface: Interface,
    workload: Workload,
    shapes: Mapping[str, tuple[int, ...]] | None,
    requests: "Sequence[Feed]",
) -> tuple[InputRange, ...]:
    """The least, the usual and the most of every input, for requests of the workload.

    A last batch may be smaller, and one example at a time can always be asked. Texts are as long as
    the tokenizer lets them; arrays as large as the ones in `requests`.
    """
    inputs, batch = interface.inputs, workload.batch
    if isinstance(inputs, TextInputs):
        return _texts(inputs, workload, _length(inputs, shapes), batch)
    if isinstance(inputs, ImageInputs):
        return (_images(inputs, batch),)
    if isinstance(inputs, PairInputs):
        # Of one image several texts are asked at once.
        several = max(batch, TEXTS_AT_ONCE)
        texts = _texts(inputs.text, workload, _length(inputs.text, shapes), several)
        return (_images(inputs.image, batch), *texts)
    return tuple(_seen(name, requests, shapes, batch) for name in (requests[0] if requests else ()))


def one_shape(profile: Sequence[InputRange]) -> bool:
    """Whether all requests have one shape, but for a last batch, which may be smaller."""
    return bool(profile) and all(
        one.usual == one.most and one.least[1:] == one.most[1:] for one in profile
    )


def _seen(
    name: str,
    requests: "Sequence[Feed]",
    shapes: Mapping[str, tuple[int, ...]] | None,
    batch: int,
) -> InputRange:
    found = [tuple(int(size) for size in feed[name].shape) for feed in requests]
    least = tuple(min(sizes) for sizes in zip(*found, strict=True))
    most = tuple(max(sizes) for sizes in zip(*found, strict=True))
    usual = (shapes or {}).get(name, most)
    return InputRange(name=name, least=least, usual=(batch, *usual[1:]), most=(batch, *most[1:]))


def _texts(
    inputs: TextInputs, workload: Workload, usual: int | None, many: int
) -> tuple[InputRange, ...]:
    fixed = None if workload.length == "real" else workload.length
    if inputs.padded:
        fixed = inputs.max_length
    most = inputs.max_length if fixed is None else fixed
    length = usual if fixed is None else fixed
    least = 1 if fixed is None else fixed
    return tuple(
        InputRange(
            name=name,
            least=(1, least),
            usual=(workload.batch, min(length or most, most)),
            most=(many, most),
        )
        for name in inputs.input_names
    )


def _images(inputs: ImageInputs, batch: int) -> InputRange:
    size = (inputs.channels, inputs.height, inputs.width)
    return InputRange(
        name=inputs.input_name, least=(1, *size), usual=(batch, *size), most=(batch, *size)
    )


def _length(inputs: TextInputs, shapes: Mapping[str, tuple[int, ...]] | None) -> int | None:
    return None if not shapes else shapes[inputs.input_names[0]][1]
