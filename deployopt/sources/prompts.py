"""Prompts from a local file as three splits: what a drawing model is judged with.

In: a .txt file with one prompt a line, or the texts of a CSV or JSON-lines file. Out: the splits,
without labels, since no image is right. Refuses what `unlabelled` and `tables` refuse, and too few
prompts to fill three splits.
"""

from pathlib import Path
from typing import Final

from deployopt.core.bundle import Origin
from deployopt.core.errors import UsageError
from deployopt.sources.adopting import file_entries
from deployopt.sources.parts import Found, Parts, Request, one_data_file, pick
from deployopt.sources.splitting import Labelled, cut
from deployopt.sources.tables import SUFFIXES as TABLES
from deployopt.sources.tables import read_plain_texts
from deployopt.sources.unlabelled import SUFFIX, read_unlabelled

JUDGED_NOTE: Final = (
    "Images are compared with those that the model as it came draws of the same prompts from the "
    "same noise; whether people would like them is not judged."
)
_CHARACTERS_MAX: Final = 10_000


def find_prompts(request: Request, path: Path) -> Found:
    """A local file, or a folder with one data file in it."""
    file = one_data_file(path, (SUFFIX, *TABLES))
    entries = file_entries(file.parent, (file.name,), request.store)
    return Found(
        name=file.name,
        origin=Origin(asked=request.name, resolved=f"file {file.name}", files=entries),
        read=lambda: _split(file, request),
    )


def _split(file: Path, request: Request) -> Parts:
    notes: tuple[str, ...] = ()
    if file.suffix == SUFFIX:
        found = read_unlabelled(file)
        prompts, notes = found.texts, found.notes
    else:
        read = read_plain_texts(file, request.options.columns)
        prompts = tuple(dict.fromkeys(text.strip() for text in read if text.strip()))
    long = next((one for one in prompts if len(one) > _CHARACTERS_MAX), None)
    if long is not None:
        raise UsageError(
            f"{file} has a prompt of {len(long):,} characters, which begins with {long[:40]!r}. "
            f"Leave out those of more than {_CHARACTERS_MAX:,}."
        )
    rows = cut(
        Labelled(keys=prompts, classes=None),
        salt=f"{file.name}/{request.seed}",
        sizes=request.options.sizes,
        where=str(file),
    )
    splits = {name: pick(prompts, None, at) for name, at in rows.items()}
    return Parts(splits=splits, notes=(*notes, JUDGED_NOTE))
