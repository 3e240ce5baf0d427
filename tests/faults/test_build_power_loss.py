"""Cut the power at any moment of a whole build: nothing half-written is ever found.

Every prefix of what the shim traced is replayed: files that were not brought to the disk are empty,
names that were not are missing, each by itself or all at once. And the other way round: leave any
one fsync out, and something broken is found.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from deployopt.store.verifying import verify_bundle
from tests.fakes.figures import Figures
from tests.faults.builds import DONE, OUTPUT, Case, bundle_problems, place, said
from tests.faults.replay import Call, Disk, Judge, Tree, read_trace

LEAST_STATES = 500
LEAST_SYNCED = 50
SAMPLED = 3


class Traced(msgspec.Struct, frozen=True, kw_only=True):
    """A build's calls, and what stood in its place before and after."""

    calls: list[Call]
    place: Path
    before: Path
    trace: Path
    allowed: frozenset[str | None]
    digest: str


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """What was found."""

    states: int
    distinct: list[Tree]
    wrong: list[str]


def trace(case: Case, folder: Path, before: Path) -> Traced:
    """Build in a copy of `before`, and trace that."""
    (folder / "trace").mkdir(parents=True)
    shutil.copytree(before, place(folder))
    older = before / OUTPUT
    allowed = {case.digest, verify_bundle(older).bundle_digest if older.exists() else None}
    assert case.run(folder, trace=str(folder / "trace")) in DONE, said(folder)
    return Traced(
        calls=read_trace(folder / "trace"),
        place=place(folder),
        before=before,
        trace=folder / "trace",
        allowed=frozenset(allowed),
        digest=case.digest,
    )


def replay(traced: Traced, judge: Judge, lost: frozenset[int] = frozenset()) -> Replayed:
    """Cut the power after each call, those numbered `lost` left out."""
    disk = Disk.holding(traced.before, traced.place, traced.trace)
    states, wrong = 0, []
    distinct: dict[Tree, None] = {}
    for call in traced.calls:
        if call.number not in lost:
            disk.apply(call)
        for tree in disk.cuts():
            states += 1
            if tree not in distinct:
                distinct[tree] = None
                wrong += [f"after {call.number}, {call.what}: {p}" for p in judge.problems(tree)]
    wrong += [f"at the end, not there for certain: {name}" for name in disk.uncertain()]
    return Replayed(states=states, distinct=list(distinct), wrong=wrong)


def synced(traced: Traced) -> list[frozenset[int]]:
    """The fsyncs of each file and folder that is there at the end."""
    disk = Disk.holding(traced.before, traced.place, traced.trace)
    found: dict[int, set[int]] = {}
    for call in traced.calls:
        disk.apply(call)
        if call.what.startswith("fsync"):
            found.setdefault(disk.inode(call.path), set()).add(call.number)
    lasting = disk.lasting()
    return [frozenset(numbers) for inode, numbers in found.items() if inode in lasting]


@pytest.fixture(scope="module")
def over_older(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Traced:
    """A build in whose place an older bundle stands; its store is empty."""
    folder = tmp_path_factory.mktemp("traced")
    shutil.copytree(case.older, folder / "before" / OUTPUT)
    return trace(case, folder / "run", folder / "before")


@pytest.mark.slow
def test_a_power_cut_at_any_moment(
    case: Case, over_older: Traced, tmp_path: Path, figures: Figures
) -> None:
    check([over_older], case, tmp_path, figures, sampled=SAMPLED)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_a_power_cut_at_any_moment_of_three_builds(
    case: Case, over_older: Traced, tmp_path: Path, figures: Figures
) -> None:
    """Over nothing, over an older bundle, and over a store that knows most of it."""
    (tmp_path / "nothing").mkdir()
    fresh = trace(case, tmp_path / "fresh", tmp_path / "nothing")
    again = trace(case, tmp_path / "again", case.older.parent)
    check([fresh, over_older, again], case, tmp_path, figures, sampled=100)


def check(
    builds: Sequence[Traced], case: Case, tmp_path: Path, figures: Figures, *, sampled: int
) -> None:
    """No state is broken, and from some of them the same command ends in the same bundle."""
    states, resumed, wrong = 0, 0, []
    distinct: list[Tree] = []
    for number, traced in enumerate(builds):
        judge = Judge(tmp_path / f"judged-{number}", traced.allowed)
        found = replay(traced, judge)
        states += found.states
        wrong += found.wrong
        distinct += found.distinct
    judge = Judge(tmp_path / "resumed", frozenset())
    for number, tree in enumerate(distinct[:: max(1, len(distinct) // sampled)][:sampled]):
        folder = tmp_path / f"resumed-{number}"
        judge.lay_out(tree, place(folder))
        assert case.run(folder) in DONE, said(folder)
        assert bundle_problems(place(folder) / OUTPUT, {case.digest}) == []
        resumed += 1
    figures(
        f"power cuts {states} states ({len(distinct)} distinct) of {len(builds)} builds, corrupt "
        f"{len(wrong)}, resumed to the same bundle {resumed} of {sampled} tried"
    )
    assert wrong == []
    assert states >= LEAST_STATES


@pytest.mark.slow
def test_no_fsync_of_a_build_can_be_left_out(
    over_older: Traced, tmp_path: Path, figures: Figures
) -> None:
    """So what looks for broken states is able to find them."""
    judge = Judge(tmp_path, over_older.allowed)
    every = synced(over_older)
    needless = [numbers for numbers in every if not replay(over_older, judge, numbers).wrong]
    figures(f"files and folders brought to the disk {len(every)}, of which needless {needless}")
    assert needless == []
    assert len(every) > LEAST_SYNCED
