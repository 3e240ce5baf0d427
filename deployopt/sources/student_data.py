"""What students of a model may learn from: training and validation examples, kept from the judges.

In: a name of data as `--data` takes it (a .txt holds texts without labels), perhaps further texts,
and the examples that a build calibrates, searches and judges with. Out: examples of the model's own
labels, -1 where there is none, none of them like one that judges; what was left out is counted and
said. Refuses labels that the model does not have, one class, and too little that is left.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from deployopt.catalogue.models import DEMO
from deployopt.core.errors import UsageError
from deployopt.core.text import safe_text
from deployopt.sources.demo import DATA, read_demo_data
from deployopt.sources.demo_data import stored_archive
from deployopt.sources.labels import match_labels
from deployopt.sources.placing import located
from deployopt.sources.splits import alike, assign_splits
from deployopt.sources.splitting import EXAMPLES_MIN, left_out, without_duplicates
from deployopt.sources.training_lots import SALT, TRAIN, VALIDATION, Lot, Reading, read_lot
from deployopt.sources.unlabelled import SUFFIX, read_unlabelled
from deployopt.store.store import Store

NO_LABEL: Final = -1
EXAMPLES_MAX: Final = 50_000
"""Of each kind: more than a search has the time to go through."""
_VALIDATION_SHARE: Final = 0.1
_VALIDATION_MAX: Final = 2_000
_CLASSES_MIN: Final = 2
_DEMO_DOMAINS: Final = ("tweets", "amazon")
_SHOWN: Final = 40


class StudentTexts(msgspec.Struct, frozen=True, kw_only=True):
    """Texts with class numbers; unlabelled ones come last in training."""

    name: str
    train: tuple[str, ...]
    classes: tuple[int, ...]
    validation: tuple[str, ...]
    validation_classes: tuple[int, ...]
    unlabelled: int
    """Of the training texts."""
    notes: tuple[str, ...] = ()


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Names of what is there to learn from; one of them at least."""

    data: str | None
    unlabelled: Path | None = None
    wide: bool = True
    """Whether texts of other domains that come with the demo's data are learned from too."""


class _Known(msgspec.Struct, frozen=True, kw_only=True):
    """Labelled texts without repetitions."""

    where: str = ""
    texts: tuple[str, ...] = ()
    classes: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


class _Plain(msgspec.Struct, frozen=True, kw_only=True):
    """Texts without labels, without repetitions."""

    where: str = ""
    texts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read_student_texts(
    wanted: Wanted, reading: Reading, labels: tuple[str, ...], judges: Sequence[str], store: Store
) -> StudentTexts:
    """Training and validation texts for students of a model with these labels.

    Raises:
        UsageError: no such data, malformed, labels that are not the model's, of one class, or
            too little that is unlike the examples that judge.
        SourceError: it could not be fetched.
        RefusedInputError: it could break a reader.
        MissingExtraError: a package to read it is not installed.
    """
    known, plain = _Known(), _Plain()
    listed = wanted.data is not None and wanted.data.endswith(SUFFIX)
    if wanted.data is not None and not listed:
        known = _labelled(read_lot(wanted.data, reading, store), labels)
    plain = _plain(wanted, wanted.data if listed else None, store)
    known, plain, notes = _kept_apart(known, plain, judges)
    name = known.where or plain.where
    if known.texts:
        return _split_labelled(name, known, plain, (*known.notes, *plain.notes, *notes))
    return _split_plain(name, plain, (*plain.notes, *notes))


def _labelled(lot: Lot, labels: tuple[str, ...]) -> _Known:
    matched = match_labels(lot.values, labels, where=lot.where, names=lot.names)
    kept, counts = without_duplicates(lot.contents, matched.classes)
    if lot.splits is not None:
        own = set(lot.splits[TRAIN])
        kept = [at for at in kept if at in own]
    kept, more = sample(kept, lot.contents, lot.where)
    classes = tuple(matched.classes[at] for at in kept)
    check_classes(classes, labels, lot.where)
    return _Known(
        where=lot.where,
        texts=tuple(str(lot.keys[at]) for at in kept),
        classes=classes,
        notes=(*matched.notes, *left_out(counts, lot.where), *more),
    )


def check_classes(classes: Sequence[int], labels: tuple[str, ...], where: str) -> None:
    """Raise UsageError where all examples are of one class."""
    found = set(classes)
    if classes and len(found) < _CLASSES_MIN:
        only = safe_text(labels[next(iter(found))], _SHOWN)
        raise UsageError(
            f"{where} holds examples of one class only ({only!r}), and a student of nothing else "
            "would forget the others. Give training data of every class, or texts without labels "
            f"as a {SUFFIX} file, one a line."
        )


def sample(
    kept: list[int], contents: Sequence[str], where: str, most: int = EXAMPLES_MAX
) -> tuple[list[int], tuple[str, ...]]:
    """At most so many of the positions, chosen by content; and a note where some were left."""
    if len(kept) <= most:
        return kept, ()
    drawn = {at: hashlib.sha256(contents[at].encode("utf-8", "replace")).digest() for at in kept}
    note = f"{where}: {most} of {len(kept)} examples are learned from, drawn by their contents."
    return sorted(sorted(kept, key=lambda at: drawn[at])[:most]), (note,)


def shares_of(count: int) -> dict[str, float]:
    """Of training and validation."""
    share = min(_VALIDATION_SHARE, _VALIDATION_MAX / count)
    return {TRAIN: 1 - share, VALIDATION: share}


def _plain(wanted: Wanted, listed: str | None, store: Store) -> _Plain:
    files = [path for path in (None if listed is None else located(listed),
             wanted.unlabelled) if path is not None]  # fmt: skip
    texts: list[str] = []
    notes: list[str] = []
    for path in files:
        found = read_unlabelled(path)
        texts += found.texts
        notes += found.notes
    where = files[0].name if files else ""
    if wanted.data == DEMO and wanted.wide:
        archive = stored_archive(store).folder / DATA.file_name
        for domain in _DEMO_DOMAINS:
            texts += [text.text for text in read_demo_data(archive, domain)]
    texts = list(dict.fromkeys(texts))
    kept, more = sample(list(range(len(texts))), texts, where)
    return _Plain(where=where, texts=tuple(texts[at] for at in kept), notes=(*notes, *more))


def _kept_apart(
    known: _Known, plain: _Plain, judges: Sequence[str]
) -> tuple[_Known, _Plain, tuple[str, ...]]:
    """Without what resembles a judge; texts that are there with a label are not there without."""
    groups = alike([*judges, *known.texts, *plain.texts]).tolist()
    judged = set(groups[: len(judges)])
    middle = len(judges) + len(known.texts)
    rows = [at for at, group in enumerate(groups[len(judges) : middle]) if group not in judged]
    labelled = set(known.texts)
    free = [at for at, group in enumerate(groups[middle:]) if group not in judged]
    dropped = len(known.texts) - len(rows) + len(plain.texts) - len(free)
    note = (
        f"{dropped} of the texts to learn from resemble ones that calibrate, search or judge, and "
        "were left out."
    )
    notes = (note,) if dropped else ()
    left = len(rows) + len(free)
    if left < EXAMPLES_MIN:
        where = known.where or plain.where
        raise UsageError(
            f"{where} leaves {left} texts to learn from, at least {EXAMPLES_MIN} are needed: "
            f"{dropped} resemble ones that the result is judged with. Give others as the training "
            "data."
        )
    return (
        msgspec.structs.replace(
            known,
            texts=tuple(known.texts[at] for at in rows),
            classes=tuple(known.classes[at] for at in rows),
        ),
        msgspec.structs.replace(
            plain, texts=tuple(plain.texts[at] for at in free if plain.texts[at] not in labelled)
        ),
        notes,
    )


def _cut(texts: Sequence[str], where: str) -> tuple[list[int], list[int]]:
    """Training and validation positions, near-duplicates together."""
    found = assign_splits(texts, shares=shares_of(len(texts)), salt=SALT).indices
    train, validation = (sorted(found[name].tolist()) for name in (TRAIN, VALIDATION))
    if not train or not validation:
        raise UsageError(
            f"{where} cannot be split: nearly all of its {len(texts)} texts are alike. Give more "
            "varied examples."
        )
    return train, validation


def _split_labelled(
    name: str, known: _Known, plain: _Plain, notes: tuple[str, ...]
) -> StudentTexts:
    train, validation = _cut(known.texts, name)
    chosen = tuple(known.texts[at] for at in validation)
    groups = alike([*chosen, *plain.texts]).tolist()
    choosing = set(groups[: len(chosen)])
    more = tuple(
        text for text, group in zip(plain.texts, groups[len(chosen) :], strict=True)
        if group not in choosing
    )  # fmt: skip
    return StudentTexts(
        name=name,
        train=tuple(known.texts[at] for at in train) + more,
        classes=tuple(known.classes[at] for at in train) + (NO_LABEL,) * len(more),
        validation=chosen,
        validation_classes=tuple(known.classes[at] for at in validation),
        unlabelled=len(more),
        notes=notes,
    )


def _split_plain(name: str, plain: _Plain, notes: tuple[str, ...]) -> StudentTexts:
    train, validation = _cut(plain.texts, name)
    return StudentTexts(
        name=name,
        train=tuple(plain.texts[at] for at in train),
        classes=(NO_LABEL,) * len(train),
        validation=tuple(plain.texts[at] for at in validation),
        validation_classes=(NO_LABEL,) * len(validation),
        unlabelled=len(train),
        notes=notes,
    )
