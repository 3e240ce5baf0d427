"""What every reader of data gives back, and what a person may choose about it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.bundle import Origin
from deployopt.core.errors import UsageError
from deployopt.core.examples import Example, Examples
from deployopt.core.measurement import Split
from deployopt.core.source import SourceModel, SplitFile
from deployopt.sources.locking import Lock
from deployopt.sources.splits import IndexArray
from deployopt.sources.splitting import CALIBRATION_MAX, GATE_MAX, SEARCH_MAX, Sizes
from deployopt.store.store import Store, StoredObject

IMAGE_BYTES_MAX: Final = 2**30


class DataOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Columns by role ({"text": …, "label": …}), and the most examples of each split."""

    columns: dict[str, str] = {}
    calibration: int = CALIBRATION_MAX
    search: int = SEARCH_MAX
    gate: int = GATE_MAX

    def check(self) -> None:
        """Raise UsageError where nothing could be split so."""
        if min(self.calibration, self.search, self.gate) < 1:
            raise UsageError("Calibration, search and gate each need at least one example.")
        unknown = sorted(set(self.columns) - {"text", "label"})
        if unknown:
            raise UsageError(f"There is no column for {unknown[0]!r}; text and label are chosen.")

    @property
    def sizes(self) -> Sizes:
        """The limits."""
        return Sizes(calibration=self.calibration, search=self.search, gate=self.gate)


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """The three splits before they are written, and what a person should know of them."""

    splits: dict[Split, Examples]
    notes: tuple[str, ...] = ()

    @property
    def labelled(self) -> bool:
        """Whether the gate's examples have labels, boxes or captions."""
        gate = self.splits[Split.GATE]
        return gate.labels is not None or gate.annotated or gate.captioned


@dataclass(frozen=True, kw_only=True)
class Request:
    """What was asked: a data name for a model, the seed of the splits, and what was chosen."""

    name: str
    model: SourceModel
    store: Store
    seed: int
    options: DataOptions
    lock: Lock | None


@dataclass(frozen=True, kw_only=True)
class Found:
    """Data that was found and fetched, and how to read it: only when it is not in the store."""

    name: str
    origin: Origin
    read: Callable[[], Parts]


def pick(inputs: Sequence[Example], classes: Sequence[int] | None, rows: IndexArray) -> Examples:
    """The examples at `rows`."""
    chosen = rows.tolist()
    labels = None if classes is None else tuple(classes[row] for row in chosen)
    return Examples(inputs=[inputs[row] for row in chosen], labels=labels)


def split_files(stored: StoredObject, counts: Mapping[str, int]) -> dict[Split, SplitFile]:
    """The splits that the store keeps as one file each, named after them."""
    found = {}
    for entry in stored.files:
        split = Split(Path(entry.path).stem)
        found[split] = SplitFile(
            split=split,
            path=stored.folder / entry.path,
            digest=entry.sha256,
            examples=counts[split.value],
        )
    return found


def one_data_file(path: Path, suffixes: Sequence[str]) -> Path:
    """The file itself, or the only data file of a folder.

    Raises:
        UsageError: none or several.
    """
    if not path.is_dir():
        return path
    found = sorted(x.name for x in path.iterdir() if x.suffix in suffixes)
    if len(found) != 1:
        shown = ", ".join(found[:8]) or "none"
        raise UsageError(
            f"{path} holds {len(found)} data files ({shown}). Name the one to judge with."
        )
    return path / found[0]
