"""Labelled data to fine-tune with: training, validation and held-out examples, split by content.

In: a file of texts, a folder of images, or `demo-sentiment`, perhaps a second one to judge with.
Out: three disjoint sets and the labels that are trained. Near-duplicates lie on one side, and what
resembles the held-out examples is left out of training; both are counted and said. The model's own
head is kept where its labels are just the data's.
"""

import hashlib
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from deployopt.core.errors import UsageError
from deployopt.core.examples import Example
from deployopt.core.interface import PromptInputs
from deployopt.sources.image_list import Chosen
from deployopt.sources.labels import match_labels
from deployopt.sources.splits import alike, assign_splits
from deployopt.sources.splitting import EXAMPLES_MIN, left_out, without_duplicates
from deployopt.sources.training_base import TrainingBase
from deployopt.sources.training_labels import TrainedLabels, settle_labels
from deployopt.sources.training_lots import (
    HELD_OUT,
    SALT,
    TRAIN,
    VALIDATION,
    Lot,
    Reading,
    keys_at,
    read_lot,
)
from deployopt.store.store import Store

_SHARE: Final = 0.1
_VALIDATION_MAX: Final = 2_000
_HELD_OUT_MAX: Final = 5_000


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """The examples of one split; images are read when they are asked for."""

    inputs: Sequence[Example]
    classes: tuple[int, ...]


class TrainingData(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a run learns from and is judged by."""

    labels: tuple[str, ...]
    new_head: bool
    parts: dict[str, Part]
    digests: dict[str, str]
    """Split name to the sha256 of its contents and classes."""
    notes: tuple[str, ...]
    judged_apart: bool
    """Whether the held-out examples came from a source of their own."""


def read_training_data(
    data: str,
    evaluation: str | None,
    *,
    base: TrainingBase,
    store: Store,
    columns: dict[str, str] | None = None,
) -> TrainingData:
    """The three sets for this base.

    Raises:
        UsageError: no such data, malformed, too little, of one class, or a label of the evaluation
            data that the training data lack.
        SourceError: it could not be fetched.
        RefusedInputError: it could break a reader.
        MissingExtraError: a package to read it is not installed.
    """
    if isinstance(base.inputs, PromptInputs):
        raise UsageError(f"{base.name} is a language model: it learns from dialogues.")
    reading = Reading(
        model=base.name, inputs=base.inputs, resample=base.resample, columns=columns or {}
    )
    lot = read_lot(data, reading, store)
    settled = settle_labels(lot.values, base.labels, where=lot.where, names=lot.names)
    kept, notes = _distinct(lot, settled.classes)
    if evaluation is not None:
        judge = read_lot(evaluation, reading, store)
        judge = judge.judge or judge
        return _with_judge(lot, judge, settled, kept, (*settled.notes, *notes))
    if lot.judge is not None:
        return _with_judge(lot, lot.judge, settled, kept, (*settled.notes, *notes))
    if lot.splits is not None:
        rows = {name: [at for at in part if at in kept] for name, part in lot.splits.items()}
        return _data(lot, None, settled, rows, (*settled.notes, *notes))
    rows, more = _cut(lot, sorted(kept))
    return _data(lot, None, settled, rows, (*settled.notes, *notes, *more))


def _with_judge(
    lot: Lot, judge: Lot, settled: TrainedLabels, kept: set[int], notes: tuple[str, ...]
) -> TrainingData:
    classes = match_labels(judge.values, settled.labels, where=judge.where, names=judge.names)
    held = without_duplicates(judge.contents, classes.classes)[0]
    if judge.splits is not None:
        held = sorted({*held} & {*judge.splits[HELD_OUT]})
    own = lot.splits
    # What the source itself holds back is not trained on, whoever judges.
    rows = sorted(kept if own is None else kept & {*own[TRAIN], *own[VALIDATION]})
    groups = alike(keys_at((judge, held), (lot, rows)))
    judged = set(groups[: len(held)].tolist())
    free = [at for at, group in zip(rows, groups[len(held) :].tolist(), strict=True)
            if group not in judged]  # fmt: skip
    dropped = len(rows) - len(free)
    if len(free) < EXAMPLES_MIN:
        raise UsageError(
            f"{lot.where} leaves {len(free)} examples to train with, at least {EXAMPLES_MIN} are "
            f"needed: {dropped} resemble those of {judge.where}, which judge. Give other examples "
            "for one of the two."
        )
    if dropped:
        notes = (*notes, f"{dropped} training examples resemble held-out ones and were left out.")
    cut, more = _cut(lot, free, held_out=False)
    return _data(lot, (judge, held, classes.classes), settled, cut, (*notes, *more))


def _distinct(lot: Lot, classes: Sequence[int]) -> tuple[set[int], tuple[str, ...]]:
    kept, counts = without_duplicates(lot.contents, classes)
    if len(kept) < EXAMPLES_MIN:
        raise UsageError(
            f"{lot.where} holds {len(kept)} different examples; at least {EXAMPLES_MIN} are needed "
            "to train, to choose and to judge. Label more."
        )
    return set(kept), left_out(counts, lot.where)


def _cut(
    lot: Lot, rows: Sequence[int], *, held_out: bool = True
) -> tuple[dict[str, list[int]], tuple[str, ...]]:
    """Training, validation and, unless it comes from elsewhere, held-out positions."""
    count = max(1, len(rows))
    shares = {VALIDATION: min(_SHARE, _VALIDATION_MAX / count)}
    if held_out:
        shares[HELD_OUT] = min(_SHARE, _HELD_OUT_MAX / count)
    shares = {TRAIN: 1 - sum(shares.values()), **shares}
    keys = keys_at((lot, rows))
    found = assign_splits(keys, shares=shares, salt=SALT)
    cut = {name: sorted(rows[at] for at in part.tolist()) for name, part in found.indices.items()}
    alike_count = len(keys) - found.groups
    note = (
        f"{lot.where}: {alike_count} near-duplicates were put on the side of those they resemble."
    )
    return cut, ((note,) if alike_count else ())


def _data(
    lot: Lot,
    judge: tuple[Lot, list[int], tuple[int, ...]] | None,
    settled: TrainedLabels,
    rows: dict[str, list[int]],
    notes: tuple[str, ...],
) -> TrainingData:
    parts = {name: _part(lot, settled.classes, at) for name, at in rows.items()}
    digests = {name: _digest(lot, settled.classes, at) for name, at in rows.items()}
    if judge is not None:
        parts[HELD_OUT] = _part(judge[0], judge[2], judge[1])
        digests[HELD_OUT] = _digest(judge[0], judge[2], judge[1])
    _check_parts(parts, settled.labels, lot.where)
    return TrainingData(
        labels=settled.labels,
        new_head=settled.new_head,
        parts=parts,
        digests=digests,
        notes=notes,
        judged_apart=judge is not None,
    )


def _part(lot: Lot, classes: Sequence[int], rows: Sequence[int]) -> Part:
    return Part(inputs=Chosen(lot.inputs, rows), classes=tuple(classes[at] for at in rows))


def _digest(lot: Lot, classes: Sequence[int], rows: Sequence[int]) -> str:
    digest = hashlib.sha256()
    for at in rows:
        key = lot.keys[at]
        content = key.encode("utf-8", "surrogatepass") if isinstance(key, str) else key
        digest.update(len(content).to_bytes(8, "little") + content)
        digest.update(int(classes[at]).to_bytes(8, "little"))
    return digest.hexdigest()


def _check_parts(parts: dict[str, Part], labels: tuple[str, ...], where: str) -> None:
    empty = [name for name in (VALIDATION, HELD_OUT) if not parts[name].classes]
    if empty:
        raise UsageError(
            f"{where} leaves no example for the {empty[0]} split: most of them are near-duplicates "
            "of one another. Give more varied examples."
        )
    counts = np.bincount(parts[TRAIN].classes or [0], minlength=len(labels))
    without = [label for label, count in zip(labels, counts.tolist(), strict=True) if not count]
    if without or not parts[TRAIN].classes:
        raise UsageError(
            f"{where} leaves no training example of the label {without[0]!r}. Give more of them."
        )
