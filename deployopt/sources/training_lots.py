"""Labelled examples of one source as they come: a file of texts, a folder of images, the demo's.

In: a name as a person writes it, and what the model takes. Out: contents that tell examples apart,
inputs to read, labels as written; nothing is matched, left out or split here. Images are read when
they are asked for.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from deployopt.catalogue.data import HubData, find_data
from deployopt.catalogue.models import DEMO
from deployopt.core.errors import UsageError
from deployopt.core.examples import Example
from deployopt.core.interface import ImageInputs, TextInputs
from deployopt.sources.adopting import file_entries
from deployopt.sources.demo import DATA, LABELS, demo_splits, read_demo_data
from deployopt.sources.demo_data import stored_archive
from deployopt.sources.hub_data import fetch_hub_tables
from deployopt.sources.hub_names import PREFIX
from deployopt.sources.image_list import ImageList
from deployopt.sources.images import BILINEAR, list_images
from deployopt.sources.parts import DataOptions, one_data_file
from deployopt.sources.placing import located
from deployopt.sources.tables import SUFFIXES, Table, read_table
from deployopt.sources.text_data import read_tables
from deployopt.store.store import Store

SALT: Final = "finetune/1"
TRAIN: Final = "train"
VALIDATION: Final = "validation"
HELD_OUT: Final = "held-out"


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What the model takes, and how a person's columns are named; `resample` is Pillow's filter."""

    model: str
    inputs: TextInputs | ImageInputs
    resample: int | None = None
    columns: Mapping[str, str] = {}


class Lot(msgspec.Struct, frozen=True, kw_only=True):
    """One source: contents that tell examples apart, inputs to read, labels as written."""

    where: str
    keys: Sequence[str] | Sequence[bytes]
    inputs: Sequence[Example]
    values: Sequence[object]
    names: tuple[str, ...] | None = None
    splits: dict[str, list[int]] | None = None
    """Where the source comes split."""
    judge: "Lot | None" = None
    """What the source sets apart to judge with, where it does."""

    @property
    def contents(self) -> list[str]:
        """The keys as texts."""
        return [key if isinstance(key, str) else key.hex() for key in self.keys]


def read_lot(name: str, reading: Reading, store: Store) -> Lot:
    """Everything that the source holds.

    Raises:
        UsageError: no such data, or malformed.
        SourceError: it could not be fetched.
        RefusedInputError: it could break a reader.
        MissingExtraError: a package to read it is not installed.
    """
    if name == DEMO:
        return _demo(reading, store)
    known = find_data(name)
    if known is not None or name.startswith(PREFIX):
        return _from_hub(name, known, reading, store)
    path = located(name)
    if not path.exists():
        raise UsageError(
            f"There is no data {name!r}: no file and no folder. Texts come as "
            f"{', '.join(SUFFIXES)}, images in one sub-folder a class, or from the hub as "
            f"hub:datasets/ORG/NAME; {DEMO} needs no file."
        )
    if isinstance(reading.inputs, ImageInputs):
        return _images(path, reading.inputs, reading.resample, store)
    file = one_data_file(path, SUFFIXES)
    return _of_table(file.name, read_table(file, reading.columns))


def keys_at(*picked: tuple[Lot, Sequence[int]]) -> list[str] | list[bytes]:
    """The contents at these rows: all texts, or all digests of images."""
    found = [lot.keys[at] for lot, rows in picked for at in rows]
    texts = [key for key in found if isinstance(key, str)]
    return texts or [key for key in found if isinstance(key, bytes)]


def _of_table(where: str, table: Table, judge: Lot | None = None) -> Lot:
    texts = tuple(row.text for row in table.rows)
    labels = tuple(row.label for row in table.rows)
    return Lot(where=where, keys=texts, inputs=texts, values=labels, names=table.names, judge=judge)


def _from_hub(name: str, known: HubData | None, reading: Reading, store: Store) -> Lot:
    if isinstance(reading.inputs, ImageInputs):
        raise UsageError(
            f"{name} would be read as texts, and {reading.model} takes images. Give a folder with "
            "one sub-folder of images a class."
        )
    options = DataOptions(columns=dict(reading.columns))
    tables = fetch_hub_tables(name, known, store, options=options)
    judge = _of_table(tables.label, read_tables(tables.gate, tables.options))
    if not tables.work:
        return judge
    where = f"{tables.label} (to train with)"
    return _of_table(where, read_tables(tables.work, tables.options), judge)


def _images(path: Path, inputs: ImageInputs, resample: int | None, store: Store) -> Lot:
    if not path.is_dir():
        raise UsageError(f"{path} is no folder; images come in one sub-folder a class.")
    files = list_images(path)
    entries = file_entries(path, (file.name for file in files), store)
    digests = {entry.path: bytes.fromhex(entry.sha256) for entry in entries}
    names = [file.name for file in files]
    return Lot(
        where=path.name,
        keys=[digests[name] for name in names],
        inputs=ImageList(path, names, inputs, BILINEAR if resample is None else resample),
        values=[file.label for file in files],
    )


def _demo(reading: Reading, store: Store) -> Lot:
    if isinstance(reading.inputs, ImageInputs):
        raise UsageError(f"{DEMO} holds texts, and {reading.model} takes images.")
    rated = read_demo_data(stored_archive(store).folder / DATA.file_name)
    texts = tuple(text.text for text in rated)
    indices = demo_splits(rated).indices
    splits = {TRAIN: "train", VALIDATION: "search", HELD_OUT: "gate"}
    return Lot(
        where=DEMO,
        keys=texts,
        inputs=texts,
        values=tuple(LABELS[text.label] for text in rated),
        splits={name: indices[split].tolist() for name, split in splits.items()},
    )
