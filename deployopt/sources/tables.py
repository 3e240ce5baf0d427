"""Labelled texts in a file: CSV, TSV, JSON lines, Parquet.

In: a path, and which columns hold text and label where their names do not say. Out: the rows as
they are, labels not yet matched. Refuses, with file and line: bytes that are not UTF-8, ragged
rows, missing columns, rows without text or label, and a file too large to be evaluation data.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from deployopt.core.errors import UsageError
from deployopt.sources.checks import check_regular

T = TypeVar("T")
FILE_MAX_BYTES: Final = 1 * 2**30
ROWS_MAX: Final = 5_000_000
TEXT_COLUMNS: Final = ("text", "sentence", "review", "content", "comment", "tweet", "document",
    "body", "message", "title")  # fmt: skip
LABEL_COLUMNS: Final = ("label", "labels", "class", "category", "sentiment", "target")
SUFFIXES: Final = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")
_DELIMITERS: Final = (",", ";", "\t")
_NOT_A_LABEL: Final = frozenset({"", "nan", "none", "null", "n/a"})


class Row(msgspec.Struct, frozen=True):
    """One example: `line` is its line in the file, or its number from 1."""

    text: str
    label: object
    line: int


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """The rows in order; `names` are the file's own names for class numbers, if it has any."""

    rows: tuple[Row, ...]
    names: tuple[str, ...] | None = None


def read_table(path: Path, columns: Mapping[str, str] | None = None) -> Table:
    """Read the file; `columns` may say {"text": …, "label": …}.

    Raises:
        UsageError: the file is not such a table; says where.
        MissingExtraError: Parquet, and pyarrow is not installed.
    """
    check_table_file(path)
    chosen = dict(columns or {})
    unknown = sorted(set(chosen) - {"text", "label"})
    if unknown:
        raise UsageError(f"columns names {unknown[0]!r}; only text and label can be chosen.")
    names = None
    found: Iterable[Row]
    if path.suffix == ".parquet":
        from deployopt.sources.parquet import read_parquet

        found, names = read_parquet(path, chosen)
    elif path.suffix in (".csv", ".tsv"):
        found = _csv(path, chosen)
    else:
        found = _json_lines(path, chosen)
    rows = tuple(checked_row(path, row) for row in found)
    if not rows:
        raise UsageError(f"{path} holds no examples. Give a file with texts and their labels.")
    return Table(rows=rows, names=names)


def read_plain_texts(path: Path, columns: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """The texts of a file of columns whatever else it holds; `columns` may say {"text": …}.

    Raises:
        UsageError: the file is not such a table; says where.
    """
    check_table_file(path)
    chosen = dict(columns or {})
    if path.suffix == ".parquet":
        raise UsageError(f"{path}: texts without labels are read as CSV or JSON lines. Save it so.")
    rows = (_csv if path.suffix in (".csv", ".tsv") else _json_lines)(path, chosen, labelled=False)
    texts = []
    for row in rows:
        if not isinstance(row.text, str):
            raise UsageError(f"{path}, line {row.line}: the text is {type(row.text).__name__}.")
        texts.append(row.text)
    return tuple(texts)


def check_table_file(path: Path) -> None:
    """Raise UsageError unless it is a regular file of a kind that is read, and not too large."""
    if path.suffix not in SUFFIXES:
        plain = " A .txt has no labels: give it as --unlabelled, to learn a teacher's answers from."
        raise UsageError(
            f"{path} is of no kind that is read; texts with labels come as {', '.join(SUFFIXES)}."
            + (plain if path.suffix == ".txt" else "")
        )
    check_regular_text(path)


def check_regular_text(path: Path) -> None:
    """Raise UsageError unless there is such a file, not empty and not too large."""
    if not path.is_file():
        raise UsageError(f"There is no data file {path}.")
    check_regular(path.resolve(), path.resolve().parent)
    size = path.stat().st_size
    if not size:
        raise UsageError(f"{path} is empty. Give a file with texts.")
    if size > FILE_MAX_BYTES:
        raise UsageError(
            f"{path} has {size} bytes; evaluation data of at most {FILE_MAX_BYTES} are read. Take "
            "a random sample of its rows."
        )


def checked_row(path: Path, row: Row) -> Row:
    """The row, if it is a text with a label; raises UsageError."""
    if not isinstance(row.text, str):
        raise UsageError(f"{path}, line {row.line}: the text is {type(row.text).__name__}.")
    label = row.label
    blank = isinstance(label, str) and label.strip().casefold() in _NOT_A_LABEL
    if label is None or blank or label != label:  # noqa: PLR0124 - only NaN differs from itself
        raise UsageError(
            f"{path}, line {row.line}: the label is missing ({label!r}). Leave such rows out."
        )
    if not isinstance(label, str | int | float):
        raise UsageError(
            f"{path}, line {row.line}: the label is of the type {type(label).__name__}; one name "
            "or class number a row is read."
        )
    return row


def find_columns(
    names: Sequence[str], chosen: Mapping[str, str], path: Path, *, labelled: bool = True
) -> tuple[str, str]:
    """The names of the text and the label column, as they stand in the file.

    Without labels the text's stands for both.
    """
    text = _column("text", TEXT_COLUMNS, names, chosen, path)
    return text, _column("label", LABEL_COLUMNS, names, chosen, path) if labelled else text


def _column(
    role: str, known: Sequence[str], names: Sequence[str], chosen: Mapping[str, str], path: Path
) -> str:
    folded = {name.strip().casefold(): name for name in reversed(names)}
    wanted = [chosen[role]] if role in chosen else known
    for name in wanted:
        if name.strip().casefold() in folded:
            return folded[name.strip().casefold()]
    looked = f"named {wanted[0]!r}" if role in chosen else f"for the {role} ({', '.join(known)})"
    needs = "; every text needs its label" if role == "label" else ""
    raise UsageError(
        f"{path} has no column {looked}; its columns are {', '.join(names) or '(none)'}. Say which "
        f"one holds the {role} with --column {role}=NAME{needs}."
    )


def decoded_text(path: Path) -> str:
    """The whole file as text; raises UsageError with the line where it is not UTF-8."""
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        utf16 = data[:2] in (b"\xff\xfe", b"\xfe\xff")
        hint = "It looks like UTF-16" if utf16 else "It may be in another encoding"
        raise UsageError(
            f"{path} is not UTF-8 text: byte {error.start} (line {line}) is "
            f"0x{data[error.start]:02x}. {hint}; save it as UTF-8."
        ) from error
    if "\0" in text:
        at = text.count("\n", 0, text.index("\0")) + 1
        raise UsageError(f"{path} holds a zero byte (line {at}); it is no text file.")
    return text


def _csv(path: Path, chosen: Mapping[str, str], *, labelled: bool = True) -> Iterator[Row]:
    text = decoded_text(path)
    header_line = text.split("\n", 1)[0]
    delimiter = "\t" if path.suffix == ".tsv" else _delimiter(header_line)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = next(reader, [])
        text_name, label_name = find_columns(header, chosen, path, labelled=labelled)
        text_at, label_at = header.index(text_name), header.index(label_name)
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(header):
                raise UsageError(
                    f"{path}, line {reader.line_num}: {len(cells)} cells, the header has "
                    f"{len(header)}. Put quotes around a text that holds {delimiter!r}."
                )
            yield Row(cells[text_at], cells[label_at], reader.line_num)
    except csv.Error as error:
        raise UsageError(f"{path}, line {reader.line_num}: {error}.") from error


def _delimiter(header: str) -> str:
    """The one that makes the most columns of the header; a comma where none does."""
    return max(_DELIMITERS, key=lambda mark: (header.count(mark), mark == ","))


def json_objects(path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    """Each object of a file of JSON lines, or of a JSON list, with its line or number.

    Raises:
        UsageError: the file is not such a file; says where.
    """
    text = decoded_text(path)
    if path.suffix == ".json" and text.lstrip().startswith("["):
        yield from enumerate(_decode(text, list[dict[str, object]], path, 1), start=1)
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, _decode(line, dict[str, object], path, number)


def _json_lines(path: Path, chosen: Mapping[str, str], *, labelled: bool = True) -> Iterator[Row]:
    columns: tuple[str, str] | None = None
    for number, item in json_items(path):
        columns = columns or find_columns(tuple(item), chosen, path, labelled=labelled)
        if columns[0] not in item or columns[1] not in item:
            missing = columns[0] if columns[0] not in item else columns[1]
            raise UsageError(f"{path}, line {number}: there is no {missing!r}.")
        # checked_row looks at the type, with the line at hand.
        yield Row(item[columns[0]], item[columns[1]], number)  # type: ignore[arg-type]


def json_items(path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    """The objects of a file with their lines, or their numbers where it is one list of them.

    Raises:
        UsageError: it is no such file; says where.
    """
    text = decoded_text(path)
    if path.suffix == ".json" and text.lstrip().startswith("["):
        yield from enumerate(_decode(text, list[dict[str, object]], path, 1), start=1)
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, _decode(line, dict[str, object], path, number)


def _decode(text: str, kind: type[T], path: Path, line: int) -> T:
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise UsageError(
            f"{path}, line {line}: {error}. One JSON object a line is read."
        ) from error


def class_names(metadata: bytes | None, column: str) -> tuple[str, ...] | None:
    """The names of the classes that the datasets library notes in a Parquet file's schema."""
    try:
        tree: object = msgspec.json.decode(metadata or b"null")
    except (msgspec.MsgspecError, RecursionError):
        return None
    for key in ("info", "features", column):
        tree = tree.get(key) if isinstance(tree, dict) else None
    names = tree.get("names") if isinstance(tree, dict) else None
    return tuple(map(str, names)) if isinstance(names, list) and names else None
