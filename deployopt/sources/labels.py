"""Labels as people write them, matched with the labels that a model answers.

In: the values of a label column (names, or class numbers), and the model's labels. Out: a class
number a row. Nothing is guessed: a name that the model does not have, or a number out of range, is
an error that shows both sets. Case and surrounding space do not count.
"""

import difflib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from deployopt.core.errors import UsageError

_NUMBER: Final = re.compile(r"[+-]?\d+(\.0*)?")
_GENERIC: Final = re.compile(r"label_\d+", re.IGNORECASE)
_SHOWN: Final = 8


class Matched(msgspec.Struct, frozen=True, kw_only=True):
    """A class number a row, and what a person should know of how it was found."""

    classes: tuple[int, ...]
    notes: tuple[str, ...] = ()


def match_labels(
    values: Sequence[object],
    labels: Sequence[str],
    *,
    where: str,
    names: Sequence[str] | None = None,
) -> Matched:
    """Class numbers for `values`; `names` are the data's own names of its numbers, if it has any.

    Raises:
        UsageError: a value that the model has no label for.
    """
    numbers = {value: _number(value) for value in set(values)}
    names_are_numbers = all(_NUMBER.fullmatch(label) for label in labels)
    if names_are_numbers or any(number is None for number in numbers.values()):
        written = {value: _written(value, names_are_numbers) for value in numbers}
        found = _by_name(written, labels, where)
        return Matched(classes=tuple(found[value] for value in values))
    _check_range(numbers, labels, where)
    meaning, notes = _translate(numbers, labels, names, where)
    return Matched(classes=tuple(meaning[value] for value in values), notes=notes)


def _number(value: object) -> int | None:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        return int(value.strip().split(".")[0])
    return None


def _written(value: object, as_number: bool) -> str:  # noqa: FBT001 - said by its name
    """The value as a name; 3.0 and "3" are one where the model's labels are numbers."""
    number = _number(value) if as_number else None
    return str(value if number is None else number)


def _by_name(values: Mapping[object, str], labels: Sequence[str], where: str) -> dict[object, int]:
    exact: dict[str, list[int]] = {}
    folded: dict[str, list[int]] = {}
    for at, label in enumerate(labels):
        exact.setdefault(_form(label, fold=False), []).append(at)
        folded.setdefault(_form(label, fold=True), []).append(at)
    found: dict[object, int] = {}
    unknown: list[str] = []
    for value, text in values.items():
        # A name that two classes share tells neither.
        same = exact.get(_form(text, fold=False), []) or folded.get(_form(text, fold=True), [])
        if len(same) == 1:
            found[value] = same[0]
        else:
            unknown.append(text)
    if unknown:
        raise _unknown(sorted(unknown), sorted(set(values.values())), labels, where)
    return found


def _form(text: str, *, fold: bool) -> str:
    plain = unicodedata.normalize("NFC", text).strip()
    return plain.casefold() if fold else plain


def _unknown(unknown: list[str], found: list[str], labels: Sequence[str], where: str) -> UsageError:
    close = difflib.get_close_matches(unknown[0], labels, n=1, cutoff=0.5)
    hint = f" The nearest to {unknown[0]!r} is {close[0]!r}." if close else ""
    generic = all(_GENERIC.fullmatch(label) for label in labels)
    hint += " The model names no classes; give class numbers, from 0." if generic else ""
    return UsageError(
        f"{where} has labels that the model does not have: {_shown(unknown)}.{hint} The data's "
        f"labels are {_shown(found)}; the model's are {_shown(labels)}. Correct those rows, or "
        "leave them out."
    )


def _check_range(numbers: Mapping[object, int | None], labels: Sequence[str], where: str) -> None:
    wrong = sorted({number for number in numbers.values() if number is not None
                    and not 0 <= number < len(labels)})  # fmt: skip
    if not wrong:
        return
    if wrong == [-1]:
        raise UsageError(
            f"{where} has the label -1, which marks rows whose label is withheld (a test split). "
            "Give a validation or training split, whose labels are there."
        )
    raise UsageError(
        f"{where} has the class numbers {_shown([str(x) for x in wrong])}; the model has "
        f"{len(labels)} classes, 0 to {len(labels) - 1}: {_shown(labels)}."
    )


def _translate(
    numbers: Mapping[object, int | None],
    labels: Sequence[str],
    names: Sequence[str] | None,
    where: str,
) -> tuple[dict[object, int], tuple[str, ...]]:
    """Through the data's own names where it has some, so that another order does no harm."""
    plain = {value: number for value, number in numbers.items() if number is not None}
    if names is None:
        return plain, (f"{where} gives class numbers; 0 is taken as {labels[0]!r}.",)
    if all(_GENERIC.fullmatch(label) for label in labels):
        return plain, ("The model names no classes, so the data's class numbers are taken.",)
    if any(number >= len(names) for number in plain.values()):
        raise UsageError(f"{where} has class numbers beyond its own names {_shown(names)}.")
    used: dict[object, str] = {value: names[number] for value, number in plain.items()}
    return _by_name(used, labels, where), ()


def _shown(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - _SHOWN} more" if len(labels) > _SHOWN else ""
    return ", ".join(repr(label) for label in labels[:_SHOWN]) + more
