"""What a source of memory measurements says of how it measured and ran, once for all its rows.

In: a row's source. Out: its `Convention`, from data/memory_conventions.toml; defaults for a source
that is not there.
"""

import tomllib
from functools import cache
from typing import Final

import msgspec

from benchmarks.memory_shapes import DATA

RANK: Final = 16
"""Of adapters where nobody says."""


class Convention(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """None where its pages and scripts do not say."""

    match: str = ""
    allocated: bool | None = None
    gibibytes: bool = False
    head_quantized: bool = False
    attention_only: bool = False
    rank: int = RANK
    checkpointing: bool | None = None
    pure: bool | None = None
    paged: bool = False
    flash: bool | None = None
    logit_bytes: float | None = None
    cast: bool | None = None
    """None: what happens to embeddings over a quantized base is not known."""


class _Conventions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    conventions: tuple[Convention, ...]


def convention_of(source: str) -> Convention:
    """The first whose `match` stands in the source."""
    return next((c for c in _conventions() if c.match.lower() in source.lower()), Convention())


def by_torch(stated: bool | None, said: Convention) -> bool | None:  # noqa: FBT001 -- a row's word
    """Whether torch's allocations were measured rather than the device's use; None: unsaid."""
    return said.allocated if stated is None else stated


@cache
def _conventions() -> tuple[Convention, ...]:
    text = (DATA / "memory_conventions.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), _Conventions).conventions
