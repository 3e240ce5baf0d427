"""Texts without labels, to learn a teacher's answers from: a file with one text a line.

In: such a file, and the texts that judge. Out: texts that are new and resemble none of those.
Refuses other kinds of files, bytes that are not UTF-8, and too few texts where they are all there
is.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.errors import UsageError
from deployopt.sources.checks import check_regular
from deployopt.sources.splits import alike, assign_splits
from deployopt.sources.splitting import EXAMPLES_MIN
from deployopt.sources.tables import FILE_MAX_BYTES, ROWS_MAX
from deployopt.sources.training_lots import HELD_OUT, SALT, TRAIN, VALIDATION

SUFFIX: Final = ".txt"
SHARES: Final = {TRAIN: 0.8, VALIDATION: 0.1, HELD_OUT: 0.1}


class Unlabelled(msgspec.Struct, frozen=True, kw_only=True):
    """Texts in the file's order, and what a person should know of those left out."""

    texts: tuple[str, ...]
    notes: tuple[str, ...] = ()


def read_unlabelled(path: Path) -> Unlabelled:
    """Every different text of the file.

    Raises:
        UsageError: no such file, of another kind, not UTF-8, too large, or empty.
        RefusedInputError: not a regular file.
    """
    if path.suffix != SUFFIX:
        raise UsageError(
            f"{path} is of no kind that is read here: texts without labels come as {SUFFIX}, one "
            "a line. Labelled ones are given with --data."
        )
    if not path.is_file():
        raise UsageError(f"There is no file {path}.")
    check_regular(path.resolve(), path.resolve().parent)
    if path.stat().st_size > FILE_MAX_BYTES:
        raise UsageError(f"{path} has more than {FILE_MAX_BYTES} bytes. Take a random sample.")
    try:
        lines = path.read_bytes().decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text: byte {error.start}. Save it as UTF-8.") from (
            error
        )
    texts = tuple(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not texts:
        raise UsageError(f"{path} holds no texts. Give one a line.")
    if len(texts) > ROWS_MAX:
        raise UsageError(f"{path} has more than {ROWS_MAX} texts. Take a random sample.")
    repeated = sum(1 for line in lines if line.strip()) - len(texts)
    notes = (f"{path.name}: {repeated} repeated texts were left out.",) if repeated else ()
    return Unlabelled(texts=texts, notes=notes)


def unlike(found: Unlabelled, judges: Sequence[str], where: str) -> Unlabelled:
    """Without the texts that resemble one of `judges`, counted in a note."""
    groups = alike([*judges, *found.texts])
    judged = set(groups[: len(judges)].tolist())
    own = groups[len(judges) :].tolist()
    kept = tuple(text for text, group in zip(found.texts, own, strict=True) if group not in judged)
    dropped = len(found.texts) - len(kept)
    note = f"{where}: {dropped} texts resemble ones that judge and were left out."
    return Unlabelled(texts=kept, notes=(*found.notes, *((note,) if dropped else ())))


def split_unlabelled(found: Unlabelled, where: str) -> dict[str, tuple[str, ...]]:
    """Training, validation and held-out texts, near-duplicates together.

    Raises:
        UsageError: too few, or nearly all alike.
    """
    cut = assign_splits(found.texts, shares=SHARES, salt=SALT).indices
    splits = {name: tuple(found.texts[at] for at in rows.tolist()) for name, rows in cut.items()}
    if len(found.texts) < EXAMPLES_MIN or not all(splits.values()):
        raise UsageError(
            f"{where} holds {len(found.texts)} different texts; at least {EXAMPLES_MIN}, not all "
            "alike, are needed to learn from, to choose and to judge."
        )
    return splits
