"""Who is taught: what brings most for its time, within the limit, whatever fails on the way.

The teacher is a made one: a shape's loss follows from its size and what it was taught, and its time
from its work, on a clock of its own.
"""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from deployopt.core.paired import loss_bounds
from deployopt.core.search import Effort, Profile, TrainedShape
from deployopt.core.watching import SILENT
from deployopt.pipeline.recipes import Form
from deployopt.pipeline.searching import schooling
from deployopt.pipeline.searching.journal import Journal, Taught
from deployopt.pipeline.searching.run import SearchRun
from deployopt.pipeline.searching.schooling import FINALISTS, School
from deployopt.pipeline.searching.teaching import Class
from deployopt.pipeline.searching.time_budget import TimeBudget
from tests.fakes.searching import prepared_build
from tests.unit.pipeline.searching.test_journal import BEGAN, shape

# Its own, as tests that build in a hurry change the shipped ones for as long as they run.
RUNGS = {Effort.DEFAULT: (1, 3, 6), Effort.EXTENSIVE: (1, 4, 10)}
SHAPES = {Effort.DEFAULT: (6, 4, 3), Effort.EXTENSIVE: (12, 8, 5)}
SPACE = [
    msgspec.structs.replace(
        shape(Profile(layers=tuple(range(layers)), ffn=ffn), 0.05 * layers * (0.4 + 0.6 * ffn)),
        macs=1e6 * layers * (0.4 + 0.6 * ffn),
    )
    for layers in (5, 4, 3, 2, 1)
    for ffn in (1.0, 0.5)
]


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> int:
        return int(self.now_s * 1e9)


def steep(size: float) -> float:
    """A share of accuracy that is lost below a size."""
    return 0.08 * max(0.0, 2.2 - size)


class Academy:
    """Teaches in place of the real one: an epoch of one mega-multiply-add takes 10 s."""

    def __init__(
        self,
        clock: Clock,
        fails: Callable[[Profile], bool],
        loss: Callable[[float], float],
    ) -> None:
        self.clock, self.fails, self.loss = clock, fails, loss

    def teach(
        self, school: Class, profile: Profile, rungs: tuple[int, ...], _limit_s: float | None
    ) -> None:
        rung = sum(one.training.profile == profile for one in school.run.journal.taught)
        epochs = sum(rungs[: rung + 1])
        size = len(profile.layers) * (0.4 + 0.6 * profile.ffn)
        self.clock.now_s += 20 + 10 * size * rungs[rung]
        lost = max(0, 18 + int(500 * (self.loss(size) + 0.01 / epochs)))
        school.run.journal.add(
            Taught(
                training=TrainedShape(
                    recipe=profile.words,
                    profile=profile,
                    rung=rung,
                    epochs=epochs,
                    seconds=school.run.budget.lap_s(),
                    loss=None if self.fails(profile) else loss_bounds(lost, 18, 500),
                    examples=500,
                    failure="the loss was nan" if self.fails(profile) else None,
                ),
                discordant=lost + 18,
            )
        )


def searched(
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    limit_s: float | None,
    effort: Effort = Effort.DEFAULT,
    fails: Callable[[Profile], bool] = lambda _: False,
    loss: Callable[[float], float] = steep,
) -> tuple[Journal, TimeBudget, School]:
    clock = Clock()
    monkeypatch.setattr(schooling, "teach", Academy(clock, fails, loss).teach)
    monkeypatch.setattr(schooling, "RUNGS", RUNGS)
    monkeypatch.setattr(schooling, "SHAPES", SHAPES)
    budget, journal = TimeBudget(limit_s, clock), Journal(path, BEGAN)
    budget.spent_before_s = journal.spent_s
    run = SearchRun(
        prepared=prepared_build(gate=3306),
        effort=effort,
        journal=journal,
        budget=budget,
        watcher=SILENT,
    )
    room = Class(run=run, form=Form(name="int8", reason=""), labelled=True)
    school = School(room, SPACE, 0.5, 60.0)
    school.run()
    return journal, budget, school


def rungs_of(journal: Journal) -> list[int]:
    counts = [0] * 3
    for one in journal.taught:
        counts[one.training.rung] += 1
    return counts


@pytest.mark.parametrize("effort", [Effort.DEFAULT, Effort.EXTENSIVE])
def test_without_a_limit_the_effort_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, effort: Effort
) -> None:
    journal, _, _ = searched(tmp_path / "log", monkeypatch, limit_s=None, effort=effort)
    counts = rungs_of(journal)
    assert all(count <= most for count, most in zip(counts, SHAPES[effort], strict=True))
    assert counts[-1] >= 1
    assert max(one.training.epochs for one in journal.taught) == sum(RUNGS[effort])


def test_a_shape_that_is_good_already_makes_way_for_a_faster_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, _, _ = searched(tmp_path / "log", monkeypatch, limit_s=1500, loss=lambda _: -0.02)
    # Nothing loses anything: the fastest shape is reached, and hardly anything is taught for long.
    least = min(SPACE, key=lambda one: one.ratio)
    assert least.profile in {one.training.profile for one in journal.taught}
    assert journal.taught[-1].training.profile == least.profile


def test_a_hopeless_budget_ends_the_teaching_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, _, school = searched(tmp_path / "log", monkeypatch, limit_s=None, loss=lambda _: 0.2)
    assert 1 <= len(journal.taught) <= 4
    assert max(school.promises().values()) < 0.01


@pytest.mark.parametrize("limit_s", [100, 200, 400, 800, 1600, 3200])
def test_the_limit_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit_s: float) -> None:
    journal, budget, _ = searched(tmp_path / "log", monkeypatch, limit_s=limit_s)
    # The first training has nothing to be estimated by; those after it have.
    longest = journal.taught[0].training.seconds if len(journal.taught) == 1 else 0.0
    assert budget.spent_s <= max(limit_s - 60.0, longest)
    assert journal.taught


def test_more_time_comes_further(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short, _, _ = searched(tmp_path / "a", monkeypatch, limit_s=400)
    long, _, _ = searched(tmp_path / "b", monkeypatch, limit_s=2000)
    assert rungs_of(long) > rungs_of(short)
    assert rungs_of(long)[-1] >= 1


def test_what_is_asked_at_the_gate_can_be_certified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, _, school = searched(tmp_path / "log", monkeypatch, limit_s=None)
    finalists = school.finalists()
    assert 1 <= len(finalists) <= FINALISTS
    # The made task needs a size of 2.2; what is far below cannot be certified.
    assert all(len(p.layers) * (0.4 + 0.6 * p.ffn) > 1.5 for p in finalists)
    assert set(finalists) <= {one.training.profile for one in journal.taught}


def test_a_training_that_fails_does_not_end_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound, _, _ = searched(tmp_path / "sound", monkeypatch, limit_s=None)
    first = sound.taught[0].training.profile
    journal, _, school = searched(
        tmp_path / "log", monkeypatch, limit_s=None, fails=lambda p: p == first
    )
    failed = [one for one in journal.taught if one.training.failure]
    assert failed
    assert all(one.training.rung == 0 for one in failed)
    assert rungs_of(journal)[-1] >= 1
    assert max(school.promises().values()) > 0
    assert school.finalists()
    assert first not in school.finalists()


def test_a_second_call_goes_on_and_a_third_has_nothing_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log"
    whole, _, _ = searched(tmp_path / "whole", monkeypatch, limit_s=None)
    searched(path, monkeypatch, limit_s=400)
    lines = path.read_bytes()
    second, _, _ = searched(path, monkeypatch, limit_s=None)
    assert path.read_bytes().startswith(lines)
    assert rungs_of(second) == rungs_of(whole)
    lines = path.read_bytes()
    searched(path, monkeypatch, limit_s=None)
    assert path.read_bytes() == lines


def test_a_killed_search_goes_on_to_the_same_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log"
    whole, _, _ = searched(path, monkeypatch, limit_s=None)
    lines = path.read_bytes().splitlines(keepends=True)
    for kept in range(1, len(lines)):
        path.write_bytes(b"".join(lines[:kept]) + lines[kept][:20])
        again, _, _ = searched(path, monkeypatch, limit_s=None)
        assert [o.training.profile for o in again.taught] == [
            o.training.profile for o in whole.taught
        ]
