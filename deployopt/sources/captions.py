"""Labels with their captions, as a person writes them for an image-text model.

In: a `.txt` with a label a line, which is its own caption, or a table with the columns text and
label (CSV, JSON lines, Parquet), where a label may have several captions. Out: labels in the order
they come first, each with its captions. Refuses fewer than two labels, an empty one, one that comes
twice, and a caption that two labels share.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.errors import UsageError
from deployopt.core.text import safe_text
from deployopt.sources.tables import SUFFIXES, check_regular_text, decoded_text, read_table

PLAIN: Final = ".txt"
LEAST: Final = 2
MOST: Final = 100_000
LABEL_MAX_CHARACTERS: Final = 1_000
_SHOWN: Final = 60


class Caption(msgspec.Struct, frozen=True):
    """A text with its line in the file."""

    text: str
    line: int


class Captions(msgspec.Struct, frozen=True, kw_only=True):
    """For each label its captions; `where` is the file, for a person."""

    where: str
    labels: tuple[str, ...]
    captions: tuple[tuple[Caption, ...], ...]


def read_captions(path: Path) -> Captions:
    """The file's labels.

    Raises:
        UsageError: it is no such file; says where.
    """
    if path.suffix not in (PLAIN, *SUFFIXES):
        raise UsageError(
            f"{path} is of no kind that is read; labels come as {PLAIN}, one a line, or with their "
            f"captions as a table with the columns text and label: {', '.join(SUFFIXES)}."
        )
    rows = _lines(path) if path.suffix == PLAIN else _rows(path)
    grouped = _grouped(rows, path)
    if not LEAST <= len(grouped) <= MOST:
        raise UsageError(
            f"{path} has {len(grouped)} label{'s' * (len(grouped) != 1)}; an image is told apart "
            f"by {LEAST} to {MOST}."
        )
    return Captions(
        where=str(path),
        labels=tuple(grouped),
        captions=tuple(tuple(captions) for captions in grouped.values()),
    )


def _lines(path: Path) -> Iterator[tuple[str, Caption]]:
    check_regular_text(path)
    seen: dict[str, int] = {}
    for number, line in enumerate(decoded_text(path).rstrip().split("\n"), start=1):
        text = line.strip()
        if text in seen:
            raise UsageError(
                f"{path}, line {number}: {safe_text(text, _SHOWN)!r} stands in line {seen[text]} "
                "too. Leave one out."
            )
        if text:
            seen[text] = number
        yield text, Caption(text, number)


def _rows(path: Path) -> Iterator[tuple[str, Caption]]:
    for row in read_table(path).rows:
        yield str(row.label).strip(), Caption(row.text.strip(), row.line)


def _grouped(rows: Iterable[tuple[str, Caption]], path: Path) -> dict[str, list[Caption]]:
    grouped: dict[str, list[Caption]] = {}
    owners: dict[str, str] = {}
    for label, caption in rows:
        if not label or not caption.text:
            raise UsageError(
                f"{path}, line {caption.line}: the {'caption' if label else 'label'} is empty. "
                "Give it one, or leave the line out."
            )
        if len(label) > LABEL_MAX_CHARACTERS:
            raise UsageError(f"{path}, line {caption.line}: the label is very long.")
        other = owners.setdefault(caption.text, label)
        if other != label:
            raise UsageError(
                f"{path}, line {caption.line}: the caption {safe_text(caption.text, _SHOWN)!r} is "
                f"one of the label {safe_text(other, _SHOWN)!r} too, so nothing would tell the two "
                "apart."
            )
        grouped.setdefault(label, []).append(caption)
    return grouped
