"""Published quality, compared only where the same thing was measured on the same data.

In: entries with their published figures. Out: the yardstick that most of them share, and points on
it, more being better. A figure on another yardstick is shown and not compared. Validation and test
parts of one data set count as the same: the difference between them is below a point.
"""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Final

from deployopt.catalogue.models import Entry, Quality
from deployopt.core.tasks import ModelTask
from deployopt.planning.recommending.heads import answers

Yardstick = tuple[str, str]
"""A metric and the data that it was taken on."""

_PART: Final = re.compile(
    r",? \ba part it does not name\b|\b(?:test-dev|test|validation|val|dev|mini ?val)(?:20\d\d)?\b"
)
_NO_SHARE: Final = frozenset({"perplexity", "FID", "BLEU"})


def yardstick_of(entries: Iterable[Entry], task: ModelTask) -> Yardstick | None:
    """What most entries have a figure on, those first whose weights do the task as they come.

    The first of equals; None where nothing is published.
    """
    known = tuple(entries)
    ready = _counted((e for e in known if answers(e, task)), task)
    counted = ready or _counted(known, task)
    return counted.most_common(1)[0][0] if counted else None


def figure(entry: Entry, task: ModelTask, yardstick: Yardstick | None) -> Quality | None:
    """The entry's figure on that yardstick."""
    return next((q for q in _figures(entry, task) if _yardstick(q) == yardstick), None)


def points(found: Quality | None) -> float | None:
    """Points, error rates counted downwards; None where no figure is published."""
    if found is None:
        return None
    return -found.value if found.lower_is_better else found.value


def written(found: Quality) -> str:
    """E.g. `91.1 % accuracy, SST-2 validation`."""
    unit = "" if found.metric in _NO_SHARE else " %"
    named = found.data.casefold().startswith(found.metric.casefold())
    return f"{found.value:g}{unit} " + (found.data if named else f"{found.metric}, {found.data}")


def _counted(entries: Iterable[Entry], task: ModelTask) -> Counter[Yardstick]:
    counted: Counter[Yardstick] = Counter()
    for entry in entries:
        counted.update(list(dict.fromkeys(_yardstick(q) for q in _figures(entry, task))))
    return counted


def _figures(entry: Entry, task: ModelTask) -> tuple[Quality, ...]:
    return tuple(q for q in entry.quality if (q.task or entry.tasks[0]) is task)


def _yardstick(found: Quality) -> Yardstick:
    return found.metric, " ".join(_PART.sub(" ", found.data.casefold()).split())
