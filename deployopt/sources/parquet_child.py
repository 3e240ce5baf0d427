"""The confined process that reads a stranger's Parquet file, a thousand rows at a time.

In: the file, then "more". Out: what its columns are, then rows until there are none.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from deployopt.confinement.child import main_if
from deployopt.core.errors import UsageError
from deployopt.sources.parquet import Going, Opened, Opening
from deployopt.sources.tables import ROWS_MAX, Row, checked_row, class_names, find_columns

_AT_ONCE: Final = 1_000
_ERRORS: Final = (pa.ArrowException, OSError, UnicodeDecodeError)


class _File:
    """The file that is open."""

    def __init__(self) -> None:
        self._rows: Iterator[list[Row]] = iter(())

    def answer(self, question: bytes) -> bytes:
        asked = msgspec.json.decode(question, type=Opening | Going)
        if isinstance(asked, Going):
            return msgspec.json.encode(next(self._rows, []))
        return msgspec.json.encode(self._open(Path(asked.path), asked.columns))

    def _open(self, path: Path, chosen: dict[str, str]) -> Opened:
        try:
            opened = pq.ParquetFile(path)
            schema = opened.schema_arrow
        except _ERRORS as error:
            raise _unreadable(path, error) from error
        columns = find_columns(schema.names, chosen, path)
        if opened.metadata.num_rows > ROWS_MAX:
            raise UsageError(f"{path} has more than {ROWS_MAX} rows. Take a random sample.")
        self._rows = _rows(path, opened, columns)
        return Opened(names=class_names((schema.metadata or {}).get(b"huggingface"), columns[1]))


def _rows(path: Path, opened: pq.ParquetFile, columns: tuple[str, str]) -> Iterator[list[Row]]:
    number = 0
    try:
        for batch in opened.iter_batches(_AT_ONCE, columns=list(columns), use_threads=False):
            texts, labels = (batch.column(name).to_pylist() for name in columns)
            part = []
            for text, label in zip(texts, labels, strict=True):
                number += 1
                part.append(checked_row(path, Row(text, label, number)))
            yield part
    except _ERRORS as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> UsageError:
    return UsageError(f"{path} is not a Parquet file that can be read: {error}.")


main_if(__name__, _File().answer)
