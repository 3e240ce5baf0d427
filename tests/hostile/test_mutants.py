"""Mutants of every kind of file that comes from strangers: each ends typed, soon and small.

    pytest tests/hostile             # 300 a kind
    pytest -m long tests/hostile     # 10 000 a kind, with minutes

This process lives; a reader's own process that dies is started again, and its file is refused. A
mutant that ends otherwise is written to a file, which belongs into `seeds/` once it is mended.
"""

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fakes.figures import Figures
from tests.hostile.bases import bases_of, mutant
from tests.hostile.subjects import NEEDED, SUBJECTS, Case, Subject, fault

SHORT = 300
LONG = 10_000
_SHOWN = 5


class Tally:
    """How many ended how, and the most that any took."""

    def __init__(self) -> None:
        self.ends: Counter[str] = Counter()
        self.stopped: Counter[str] = Counter()
        self.slowest_s = 0.0
        self.largest_bytes = 0
        self.faults: list[str] = []

    def line(self, kind: str, count: int, seconds: float) -> str:
        ends = ", ".join(f"{how}: {n}" for how, n in sorted(self.ends.items()))
        stopped = ", ".join(f"{how} {n}" for how, n in sorted(self.stopped.items())) or "none"
        return (
            f"{kind}: {count} mutants in {seconds:.0f} s; {ends}; readers stopped: {stopped}; "
            f"slowest {self.slowest_s:.2f} s, largest {self.largest_bytes / 2**20:.0f} MiB, "
            f"faults {len(self.faults)}"
        )


@pytest.mark.parametrize("kind", sorted(SUBJECTS))
def test_some_mutants(kind: str, tmp_path: Path, figures: Figures) -> None:
    _try(kind, SHORT, tmp_path, figures)


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("kind", sorted(SUBJECTS))
def test_all_mutants(kind: str, tmp_path: Path, figures: Figures) -> None:
    _try(kind, LONG, tmp_path, figures)


def _try(kind: str, count: int, folder: Path, figures: Figures) -> None:
    for package in NEEDED.get(kind, ()):
        pytest.importorskip(package)
    scratch, kept = folder / "scratch", folder / "faults"
    scratch.mkdir()
    kept.mkdir()
    subject = SUBJECTS[kind](scratch)
    start = time.monotonic()
    try:
        _open_good(kind, subject)
        tally = _give_all(subject, lambda number: mutant(kind, number), count, kept)
    finally:
        subject.close()
    figures(tally.line(kind, count, time.monotonic() - start))
    assert not tally.faults, "\n".join(tally.faults[:_SHOWN])
    assert len(tally.ends) > 1, "every mutant ended alike: nothing was tried"


def _open_good(kind: str, subject: Subject) -> None:
    """Twice: what is imported at the first is no mutant's."""
    for case in (*bases_of(kind), *bases_of(kind)):
        ended = subject.give(case)
        assert ended.how == "opened", ended


def _give_all(subject: Subject, make: Callable[[int], Case], count: int, kept: Path) -> Tally:
    tally = Tally()
    for number in range(count):
        case = make(number)
        ended = subject.give(case)
        tally.ends[ended.how] += 1
        tally.slowest_s = max(tally.slowest_s, ended.seconds)
        tally.largest_bytes = max(tally.largest_bytes, ended.grown_bytes)
        _, sign, why = ended.says.partition("in a process of its own ")
        if sign:
            tally.stopped[why.split(":")[0].split(". ")[0].strip()] += 1
        wrong = fault(subject, ended)
        if wrong is not None:
            path = kept / f"{number}-{case.name}"
            path.write_bytes(case.data)
            tally.faults.append(f"mutant {number} ({path}): {wrong}")
    return tally
