"""Labelled texts of a dataset on the hub, at a pinned commit."""

import re
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec

from deployopt.catalogue.data import HubData
from deployopt.core.bundle import Origin
from deployopt.core.errors import SourceError, UsageError
from deployopt.sources.hub import HubListing, fetch_files, list_repository
from deployopt.sources.hub_names import HubName, parse_hub_name
from deployopt.sources.locking import Lock, locked_commit
from deployopt.sources.parts import DataOptions, Found, Parts, Request
from deployopt.sources.tables import FILE_MAX_BYTES, SUFFIXES
from deployopt.sources.text_data import read_tables, split_texts
from deployopt.store.store import Store

_SHOWN: Final = 8


class HubTables(msgspec.Struct, frozen=True, kw_only=True):
    """The fetched files: those that judge, those to work with (none: the same), and columns."""

    label: str
    gate: tuple[Path, ...]
    work: tuple[Path, ...]
    options: DataOptions
    origin: Origin


def find_hub_data(request: Request, known: HubData | None) -> Found:
    """Fetch what is needed: the files that a known dataset names, or one file."""
    tables = fetch_hub_tables(
        request.name, known, request.store, options=request.options, lock=request.lock
    )

    def read() -> Parts:
        judged = read_tables(tables.gate, tables.options)
        other = read_tables(tables.work, tables.options) if tables.work else None
        return split_texts(judged, other, request, tables.label)

    return Found(name=tables.label, origin=tables.origin, read=read)


def fetch_hub_tables(
    name: str,
    known: HubData | None,
    store: Store,
    *,
    options: DataOptions,
    lock: Lock | None = None,
) -> HubTables:
    """The files of a dataset by its short name, or as `hub:datasets/ORG/NAME[@REV][:FILE]`.

    Raises:
        UsageError: no such file, several to choose from, or too large.
        SourceError: it could not be fetched.
    """
    commit = locked_commit(name, lock)
    if known is None:
        wanted = parse_hub_name(name)
        if wanted.kind != "dataset":
            raise UsageError(f"{name!r} is a model. Data is written hub:datasets/ORG/NAME.")
    else:
        wanted = HubName(repository=known.repository, kind="dataset")
        options = _with_columns(options, known)
    at = HubName(
        repository=wanted.repository, kind="dataset", revision=commit or wanted.revision,
        file=wanted.file,
    )  # fmt: skip
    try:
        listing = list_repository(at, store)
    except SourceError as error:
        raise SourceError(f"Data {name!r}: {error}") from error
    gate, work = _choose(at, known, listing)
    size = sum(file.size_bytes for file in listing.files if file.path in {*gate, *work})
    if size > FILE_MAX_BYTES:
        raise UsageError(
            f"The files of {at.written} to read have {size} bytes; at most {FILE_MAX_BYTES} are "
            f"fetched. Name a smaller one: {at.written}:FILE."
        )
    stored = fetch_files(at, listing, tuple(sorted({*gate, *work})), store, _nothing)
    return HubTables(
        label=known.name if known else at.repository,
        gate=tuple(stored.folder / path for path in gate),
        work=tuple(stored.folder / path for path in work),
        options=options,
        origin=Origin(
            asked=name,
            resolved=f"{at.written}@{listing.commit}",
            licence=listing.licence or (known.licence if known else None),
            files=stored.files,
        ),
    )


def _nothing(_staged: Path) -> None:
    """A table is checked when it is read: as text, never as code."""


def _with_columns(options: DataOptions, known: HubData) -> DataOptions:
    columns = {"text": known.text, "label": known.label} | options.columns
    return msgspec.structs.replace(options, columns=columns)


def _choose(
    name: HubName, known: HubData | None, listing: HubListing
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    paths = [file.path for file in listing.files]
    if known is not None:
        gate = _matching(known.gate, paths, name)
        return gate, _matching(known.work, paths, name) if known.work else ()
    if name.file is not None:
        if name.file not in paths:
            raise UsageError(f"{name.written} has no file {name.file!r}; it has {_shown(paths)}.")
        return (name.file,), ()
    tables = [path for path in paths if PurePosixPath(path).suffix in SUFFIXES]
    if len(tables) != 1:
        raise UsageError(
            f"{name.written} has {len(tables)} data files: {_shown(tables)}. Name one: "
            f"{name.written}:FILE."
        )
    return (tables[0],), ()


def _matching(pattern: str, paths: list[str], name: HubName) -> tuple[str, ...]:
    form = re.compile("[^/]*".join(re.escape(part) for part in pattern.split("*")))
    found = tuple(sorted(path for path in paths if form.fullmatch(path)))
    if not found:
        raise SourceError(
            f"{name.written} no longer has {pattern}; it has {_shown(paths)}. Give the data by its "
            f"file: {name.written}:FILE."
        )
    return found


def _shown(paths: list[str]) -> str:
    return ", ".join(paths[:_SHOWN]) + (" …" if len(paths) > _SHOWN else "") or "none"
