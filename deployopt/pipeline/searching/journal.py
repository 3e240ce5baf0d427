"""The search's log: one JSON object a line, added as things are found, enough to go on from.

In: a path and what the search is of. Out: what an earlier call found, and a place to add to. A line
that a killed call left unfinished is dropped; a log of another search is never written to.
"""

from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.codec import encode_json
from deployopt.core.errors import IntegrityError
from deployopt.core.recipe import Step
from deployopt.core.search import LayerError, Profile, TimedShape, TrainedShape
from deployopt.store.faults import storage_errors
from deployopt.store.writing import append_bytes, atomic_write_bytes, make_folders

VERSION: Final = 1


class Began(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="search"):
    """The first line: what is searched for. Calls of the same `key` go on from one another."""

    version: int = VERSION
    key: str
    made_with: str
    model: str
    target: str
    data: str
    train_data: str
    budgets: dict[str, float]


class Shaped(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="shape"):
    """A shape was timed."""

    shape: TimedShape
    seconds: float


class Preferred(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="form"):
    """The whole model's best form, its time over the float one's, and those that it beats."""

    form: str
    ratio: float
    beaten: dict[str, str] = {}
    seconds: float


class SavedStep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A step by name, with its options."""

    name: str
    options: dict[str, msgspec.Raw]


class Taught(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="training"):
    """A shape was taught, or failed to be."""

    training: TrainedShape
    steps: tuple[SavedStep, ...] = ()
    """How the trained folder comes about, from the model as it came."""
    discordant: int = 0


class Ranked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="layers"):
    """Layers were ranked in this form."""

    form: str
    layers: tuple[LayerError, ...]
    seconds: float


Entry = Began | Preferred | Shaped | Taught | Ranked
_ENTRIES: Final[msgspec.json.Decoder[Entry]] = msgspec.json.Decoder(Entry)


class Journal:
    """What is in the log so far; `add` writes a line at once."""

    def __init__(self, path: Path, began: Began) -> None:
        """Read the log at `path`, or begin one.

        Raises:
            IntegrityError: what is there is no log of a search.
            StorageError: it cannot be read or written.
        """
        self.path = path
        self._entries: list[Entry] = []
        self._whole = _read(path)
        lines = self._whole.splitlines()
        self._entries = [_decode(line, path, at) for at, line in enumerate(lines, 1)]
        self.resumed = len(self._entries) > 1
        if not self._entries:
            self.add(began)
        elif not isinstance(self._entries[0], Began) or self._entries[0].key != began.key:
            raise IntegrityError(f"{path} is the log of another search. Move it away.")

    def add(self, entry: Entry) -> None:
        """Write one line."""
        make_folders(self.path.parent)
        append_bytes(self.path, encode_json(entry) + b"\n")
        self._entries.append(entry)

    @property
    def spent_s(self) -> float:
        """Seconds of all that is logged."""
        return sum(
            entry.training.seconds if isinstance(entry, Taught) else entry.seconds
            for entry in self._entries
            if not isinstance(entry, Began)
        )

    @property
    def shapes(self) -> tuple[TimedShape, ...]:
        """Every shape that was timed, in order."""
        return tuple(entry.shape for entry in self._entries if isinstance(entry, Shaped))

    @property
    def taught(self) -> tuple[Taught, ...]:
        """Every training, in order."""
        return tuple(entry for entry in self._entries if isinstance(entry, Taught))

    @property
    def preferred(self) -> Preferred | None:
        """The best form as it was found; None where it was not."""
        return next((entry for entry in self._entries if isinstance(entry, Preferred)), None)

    def ranked(self, form: str) -> tuple[LayerError, ...] | None:
        """The layers as they were ranked in this form; None where they were not."""
        found = (e.layers for e in self._entries if isinstance(e, Ranked) and e.form == form)
        return next(found, None)

    def taught_at(self, profile: Profile, rung: int) -> Taught | None:
        """This training, if it is there."""
        found = (
            entry
            for entry in self.taught
            if entry.training.profile == profile and entry.training.rung == rung
        )
        return next(found, None)


def saved(steps: tuple[Step, ...]) -> tuple[SavedStep, ...]:
    """Steps as a log keeps them."""
    return tuple(
        SavedStep(
            name=step.name,
            options=msgspec.json.decode(encode_json(step), type=dict[str, msgspec.Raw]),
        )
        for step in steps
    )


def restored(steps: tuple[SavedStep, ...], where: Path) -> tuple[Step, ...]:
    """The steps again.

    Raises:
        IntegrityError: a step that is not known, or options that are not its.
    """
    from deployopt.steps.table import STEPS

    found = []
    for step in steps:
        kind = STEPS.get(step.name)
        if kind is None:
            raise IntegrityError(f"{where} names the step {step.name[:40]!r}, which is not known.")
        try:
            found.append(msgspec.json.decode(msgspec.json.encode(step.options), type=kind))
        except msgspec.MsgspecError as error:
            raise IntegrityError(f"{where} has options that {step.name} lacks: {error}.") from error
    return tuple(found)


def _read(path: Path) -> bytes:
    """The whole lines; what follows the last line break is of a call that was killed."""
    with storage_errors("reading the search's log", path):
        data = path.read_bytes() if path.exists() else b""
    whole, _, torn = data.rpartition(b"\n")
    if torn:
        atomic_write_bytes(path, whole + b"\n" if whole else b"")
    return whole


def _decode(line: bytes, path: Path, number: int) -> Entry:
    try:
        return _ENTRIES.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise IntegrityError(
            f"{path}, line {number}, is not a line of a search's log: {error}. Move the file away "
            "to begin anew; what was trained is still in the store."
        ) from error
