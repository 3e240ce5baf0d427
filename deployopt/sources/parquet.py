"""Labelled texts in a Parquet file, read by a confined process: its reader is native code.

In: a path, and which columns are chosen. Out: the rows, and the file's own names for class numbers.
Refuses what is no Parquet file, has no such columns, too many rows, or breaks the reader.
"""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from deployopt.confinement.reader import Bounds, Reader
from deployopt.core.errors import MissingExtraError
from deployopt.sources.tables import Row
from deployopt.sources.trying import asked

MODULE: Final = "deployopt.sources.parquet_child"
_LEAST_BYTES: Final = 2**30
_TIMES_FILE: Final = 4
_WALL_S: Final = 300.0


class Opening(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="open"):
    """Which file, and its columns by role where they were chosen."""

    path: str
    columns: dict[str, str]


class Going(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="more"):
    """The next rows of the open file."""


class Opened(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The open file's own names for class numbers."""

    names: tuple[str, ...] | None


def read_parquet(
    path: Path, chosen: Mapping[str, str], reader: Reader | None = None
) -> tuple[list[Row], tuple[str, ...] | None]:
    """All rows, and the names of the classes.

    Raises:
        UsageError: not such a file, or no such columns.
        RefusedInputError: it breaks its reader.
        MissingExtraError: pyarrow is not installed.
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise MissingExtraError(f"Reading {path.name}", "build")
    if reader is not None:
        return _read(path, chosen, reader)
    bounds = Bounds(wall_s=_WALL_S, memory_bytes=_LEAST_BYTES + _TIMES_FILE * path.stat().st_size)
    with Reader(MODULE, [path.parent, path.resolve()], bounds) as own:
        return _read(path, chosen, own)


def _read(
    path: Path, chosen: Mapping[str, str], reader: Reader
) -> tuple[list[Row], tuple[str, ...] | None]:
    opening = Opening(path=str(path.absolute()), columns=dict(chosen))
    opened = msgspec.json.decode(asked(reader, msgspec.json.encode(opening), path), type=Opened)
    rows: list[Row] = []
    more = msgspec.json.encode(Going())
    while part := msgspec.json.decode(asked(reader, more, path), type=list[Row]):
        rows += part
    return rows, opened.names
