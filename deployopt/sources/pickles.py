"""Pickled weights as safetensors, where a person has said that they may be read.

In: a staging folder with pickles. Out: `model.safetensors` in their place, made by a confined
process: no network, no other files, nothing started. Refuses what is more than tensors.
"""

import importlib.util
from pathlib import Path
from typing import Final

import msgspec

from deployopt.confinement.reader import Bounds, Reader
from deployopt.core.errors import MissingExtraError, RefusedInputError
from deployopt.sources.checks import is_pickled
from deployopt.sources.trying import asked

MODULE: Final = "deployopt.modeling.unpickling_child"
BYTES_MAX: Final = 3 * 2**30
_GIB: Final = 2**30
_HEADROOM_BYTES: Final = 16 * _GIB
_SLACK_BYTES: Final = 64 * 2**20
"""A safetensors file beyond the tensors that were in the pickle."""


def convert_pickles(staged: Path) -> None:
    """Put `model.safetensors` in the place of the pickles of a staging folder.

    Raises:
        RefusedInputError: they hold more than tensors, or break their reader.
        MissingExtraError: torch is not installed.
    """
    pickled = sorted(path for path in staged.iterdir() if is_pickled(path.name))
    if not pickled:
        return
    if importlib.util.find_spec("torch") is None:
        raise MissingExtraError("Reading pickled weights", "build")
    size = sum(path.stat().st_size for path in pickled)
    if size > BYTES_MAX:
        raise RefusedInputError(
            f"{pickled[0]} and its parts have {size} bytes, more than {BYTES_MAX}. Convert them "
            "with `model.save_pretrained(folder, safe_serialization=True)`."
        )
    bounds = Bounds(
        wall_s=600.0,
        memory_bytes=2 * _GIB + 6 * size,
        headroom_bytes=_HEADROOM_BYTES,
        answer_bytes=size + _SLACK_BYTES,
    )
    question = msgspec.json.encode(tuple(str(path.absolute()) for path in pickled))
    with Reader(MODULE, [staged], bounds) as reader:
        written = asked(reader, question, pickled[0])
    (staged / "model.safetensors").write_bytes(written)
    for path in pickled:
        path.unlink()
