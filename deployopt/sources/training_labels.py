"""Which labels a classifier is trained to answer: the model's own, or the data's.

In: the values of the label column and the labels of the model's head, if it has one. Out: labels, a
class number a row, and whether the head has to be new. Refuses data of one class, and a label that
stands on next to no example: most likely a slip of the pen.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec

from deployopt.core.errors import UsageError
from deployopt.core.text import name_list, safe_text
from deployopt.sources.folder import LABEL_MAX_CHARACTERS, LABELS_MAX
from deployopt.sources.labels import match_labels

LABEL_EXAMPLES_MIN: Final = 3
_CLASSES_MIN: Final = 2
_SHOWN: Final = 40


class TrainedLabels(msgspec.Struct, frozen=True, kw_only=True):
    """The labels in the order of their numbers, and the number of each row."""

    labels: tuple[str, ...]
    classes: tuple[int, ...]
    new_head: bool
    notes: tuple[str, ...] = ()


def settle_labels(
    values: Sequence[object],
    head: tuple[str, ...] | None,
    *,
    where: str,
    names: tuple[str, ...] | None = None,
) -> TrainedLabels:
    """The labels for these rows; `names` are the data's own names of its numbers, if it has any.

    Raises:
        UsageError: one class, far too many, or a label with too few examples.
    """
    written = [_written(value, names) for value in values]
    counts = Counter(written)
    _check(counts, where)
    if head is not None and len(head) == len(counts):
        kept = _as_the_head_has_them(values, head, where, names)
        if kept is not None:
            return kept
    labels = _in_order(counts, names)
    numbers = {label: at for at, label in enumerate(labels)}
    notes: tuple[str, ...] = ()
    if head is not None:
        said = f"it answers {name_list(head)}, the data's labels are {name_list(labels)}"
        notes = (f"The model gets a new head: {said}.",)
    classes = tuple(numbers[label] for label in written)
    return TrainedLabels(labels=labels, classes=classes, new_head=True, notes=notes)


def _as_the_head_has_them(
    values: Sequence[object], head: tuple[str, ...], where: str, names: tuple[str, ...] | None
) -> TrainedLabels | None:
    try:
        matched = match_labels(values, head, where=where, names=names)
    except UsageError:
        return None
    return TrainedLabels(labels=head, classes=matched.classes, new_head=False, notes=matched.notes)


def _written(value: object, names: tuple[str, ...] | None) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if names is not None and isinstance(value, int) and 0 <= value < len(names):
        return names[value]
    return str(value).strip()


def _in_order(counts: Counter[str], names: tuple[str, ...] | None) -> tuple[str, ...]:
    """The data's own order where it has one; numbers by size, names by the alphabet."""
    if names is not None and set(counts) <= set(names):
        return tuple(name for name in names if name in counts)
    if all(label.isdecimal() for label in counts):
        return tuple(sorted(counts, key=int))
    return tuple(sorted(counts))


def _check(counts: Counter[str], where: str) -> None:
    if len(counts) < _CLASSES_MIN:
        only = safe_text(next(iter(counts), ""), _SHOWN)
        raise UsageError(
            f"{where} holds examples of one class only ({only!r}), so there is nothing to tell "
            "apart. Give examples of every class."
        )
    if len(counts) > LABELS_MAX or any(len(label) > LABEL_MAX_CHARACTERS for label in counts):
        raise UsageError(
            f"{where} has {len(counts)} different labels; at most {LABELS_MAX} of "
            f"{LABEL_MAX_CHARACTERS} characters are trained. Is --column label=NAME the right one?"
        )
    rare = sorted(label for label, count in counts.items() if count < LABEL_EXAMPLES_MIN)
    if rare:
        raise UsageError(
            f"{where}: the label {safe_text(rare[0], _SHOWN)!r} stands on {counts[rare[0]]} of "
            f"{counts.total()} rows ({len(rare)} labels have fewer than {LABEL_EXAMPLES_MIN}). "
            "Correct it, leave its rows out, or add examples; the labels are "
            f"{name_list(tuple(sorted(counts)))}."
        )
