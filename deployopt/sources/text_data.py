"""Labelled texts from local files as three splits."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from deployopt.core.bundle import Origin
from deployopt.core.measurement import Split
from deployopt.core.source import SourceModel
from deployopt.sources.adopting import file_entries
from deployopt.sources.labels import match_labels
from deployopt.sources.parts import DataOptions, Found, Parts, Request, one_data_file, pick
from deployopt.sources.splitting import (
    Labelled,
    Sizes,
    cut,
    cut_two,
    left_out,
    without_duplicates,
)
from deployopt.sources.tables import SUFFIXES, Row, Table, read_table


class Texts(msgspec.Struct, frozen=True, kw_only=True):
    """Texts and classes of one place, repetitions left out."""

    texts: tuple[str, ...]
    classes: tuple[int, ...]
    notes: tuple[str, ...]

    @property
    def labelled(self) -> Labelled:
        """For splitting."""
        return Labelled(keys=self.texts, classes=self.classes)


def find_texts(request: Request, path: Path) -> Found:
    """A local file, or a folder with one data file in it."""
    file = one_data_file(path, SUFFIXES)
    entries = file_entries(file.parent, (file.name,), request.store)
    return Found(
        name=file.name,
        origin=Origin(asked=request.name, resolved=f"file {file.name}", files=entries),
        read=lambda: split_texts(
            read_table(file, request.options.columns), None, request, file.name
        ),
    )


def read_tables(paths: Sequence[Path], options: DataOptions) -> Table:
    """Several files of the same form as one table."""
    tables = [read_table(path, options.columns) for path in paths]
    rows: list[Row] = []
    for table in tables:
        rows += table.rows
    return Table(rows=tuple(rows), names=tables[0].names)


def split_texts(gate: Table, work: Table | None, request: Request, where: str) -> Parts:
    """Three splits of one table, or the gate of one and the others of another.

    Raises:
        UsageError: labels that the model does not have, or too little data.
    """
    model, sizes, salt = request.model, request.options.sizes, f"{where}/{request.seed}"
    judged = _texts(gate, model, where)
    if work is None:
        rows = cut(judged.labelled, salt=salt, sizes=sizes, where=where)
        splits = {name: pick(judged.texts, judged.classes, at) for name, at in rows.items()}
        return Parts(splits=splits, notes=(*judged.notes, *_capped(len(rows[Split.GATE]), sizes)))
    other = _texts(work, model, f"{where} (to calibrate with)")
    rows, dropped = cut_two(judged.labelled, other.labelled, salt=salt, sizes=sizes, where=where)
    splits = {
        name: pick(*((judged.texts, judged.classes) if name.value == "gate"
                     else (other.texts, other.classes)), at)
        for name, at in rows.items()
    }  # fmt: skip
    note = (
        f"{where}: {dropped} of the rows to calibrate with resembled the gate's and were left out."
    )
    notes = (*judged.notes, *other.notes, *((note,) if dropped else ()))
    return Parts(splits=splits, notes=tuple(dict.fromkeys(notes)))


def _texts(table: Table, model: SourceModel, where: str) -> Texts:
    matched = match_labels(
        [row.label for row in table.rows],
        model.interface.labels,
        where=where,
        names=table.names,
    )
    kept, counts = without_duplicates([row.text for row in table.rows], matched.classes)
    return Texts(
        texts=tuple(table.rows[at].text for at in kept),
        classes=tuple(matched.classes[at] for at in kept),
        notes=(*matched.notes, *left_out(counts, where)),
    )


def _capped(count: int, sizes: Sizes) -> tuple[str, ...]:
    if count < sizes.gate:
        return ()
    return (f"The gate was held to {sizes.gate} examples, which is enough to judge by.",)
