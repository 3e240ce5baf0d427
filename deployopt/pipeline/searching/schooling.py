"""Who is taught next, and for how long: what brings most for its seconds, as far as time allows.

In: shapes that can meet the latency budget, a class to teach them in. Out: trainings, in the log.
A shape climbs rungs of more and more epochs. After each training everything is thought over: what
the fastest certified shape may gain if this one climbed to the end, over the seconds that takes. A
shape that is good already gains nothing by climbing, so that a faster one comes next; one that does
not promise is left where it is (as in successive halving, Jamieson & Talwalkar 2016).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from deployopt.core.budget import limit_of
from deployopt.core.measurement import Split
from deployopt.core.metric import Kind
from deployopt.core.search import Effort, Profile, TimedShape
from deployopt.pipeline.searching.journal import Taught
from deployopt.pipeline.searching.merit import (
    Belief,
    Seen,
    believed,
    best_sequence,
    chance,
    fitted,
    improvements,
    worth,
)
from deployopt.pipeline.searching.sampling import next_shape
from deployopt.pipeline.searching.teaching import Class, teach

RUNGS: Final = {Effort.DEFAULT: (1, 3, 6), Effort.EXTENSIVE: (1, 4, 10)}
"""Epochs that each rung adds."""
SHAPES: Final = {Effort.DEFAULT: (6, 4, 3), Effort.EXTENSIVE: (12, 8, 5)}
"""How many shapes at most come to each rung."""
FINALISTS: Final = 3
"""Taught shapes that are measured in full, beside the forms of the whole model."""
LEAST_GAIN: Final = 0.003
"""Of the logarithm of time: what is expected to bring less is not begun."""
_EQUAL: Final = 0.9
"""New shapes that bring at least this much of what the best one does are as good."""
_LEAST_S: Final = 20.0
_TIGHT: Final = 0.6
"""A training that is expected to take more than this of the time left is given a limit."""
_NO_LIMIT: Final = 1.0
_FAILED: Final = -1.0


class _Pupil(msgspec.Struct, frozen=True, kw_only=True):
    shape: TimedShape
    taught: tuple[Taught, ...]

    @property
    def failed(self) -> bool:
        return bool(self.taught) and self.taught[-1].training.failure is not None


class _Way(msgspec.Struct, frozen=True, kw_only=True):
    """A shape's next rung, and what it is worth to go on from there as far as there is time."""

    shape: TimedShape
    rung: int
    seconds: float | None
    """Of the next rung; None where nothing was taught to estimate it by."""
    gain: float
    rate: float
    """Gain by the work of all rungs that there is time for."""


class _Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What is believed of every shape, after all that was taught."""

    beliefs: dict[Profile, Belief]
    rungs: dict[Profile, int]
    """How many rungs each shape that was taught has climbed."""
    improvement: tuple[float, ...]
    """What is taken back after each rung."""
    failed: frozenset[Profile]


class School:
    """The trainings of one search; `reserve_s` is kept for measuring and judging in the end."""

    def __init__(
        self,
        school: Class,
        shapes: Sequence[TimedShape],
        best_ratio: float,
        reserve_s: float,
    ) -> None:
        self._class = school
        self._shapes = {shape.profile: shape for shape in shapes}
        self._gains = {s.profile: math.log(best_ratio / s.ratio) for s in shapes if s.ratio > 0}
        self._most_macs = max((shape.macs or 0.0 for shape in shapes), default=0.0)
        self._rungs, self._counts = RUNGS[school.run.effort], SHAPES[school.run.effort]
        self._reserve_s = reserve_s

    def run(self) -> None:
        """Teach until nothing more is worth it, the counts are reached, or time is short."""
        while (way := self._next()) is not None:
            about = f", about {way.seconds / 60:.0f} min" if way.seconds else ""
            self._class.run.watcher.note(
                f"Teaching {way.shape.profile.words} for {self._rungs[way.rung]} epochs{about}"
            )
            limit = _limit(way.seconds, self._left_s)
            teach(self._class, way.shape.profile, self._rungs, limit)

    def finalists(self) -> tuple[Profile, ...]:
        """Those to be measured in full and asked at the gate, the most promising first."""
        standing = self._standing()
        profiles, shapes = self._hopeful(standing, standing.rungs)
        return tuple(profiles[at] for at in best_sequence(shapes, FINALISTS, LEAST_GAIN))

    def promises(self) -> dict[Profile, float]:
        """By profile that was taught, the chance that it is certified times its gain."""
        standing = self._standing()
        profiles, shapes = self._hopeful(standing, standing.rungs)
        found = {p: likely * gain for p, (likely, gain) in zip(profiles, shapes, strict=True)}
        return {profile: found.get(profile, _FAILED) for profile in standing.rungs}

    @property
    def _left_s(self) -> float:
        return self._class.run.budget.left_s - self._reserve_s

    def _next(self) -> _Way | None:
        standing = self._standing()
        now = self._worth(standing, {})
        found = (self._way(standing, profile, now) for profile in self._gains)
        ways = [way for way in found if way is not None and way.gain > LEAST_GAIN]
        if not ways:
            return None
        ways.sort(key=lambda way: -way.rate)
        if ways[0].rung:
            return ways[0]
        equals = [way for way in ways if not way.rung and way.rate >= _EQUAL * ways[0].rate]
        seed = self._class.run.prepared.request.seed
        shape = next_shape([way.shape for way in equals], self.promises(), seed)
        return next(way for way in equals if way.shape is shape)

    def _way(self, standing: _Standing, profile: Profile, now: float) -> _Way | None:
        """None where nothing is left to do, or there is no time for it."""
        if profile in standing.failed:
            return None
        shape, rung = self._shapes[profile], standing.rungs.get(profile, 0)
        pace, left_s, work, last = self._pace(), self._left_s, 0.0, rung
        for at in range(rung, len(self._rungs)):
            more = work + self._work(shape, at)
            late = more * pace > left_s if pace is not None else left_s < _LEAST_S
            if late or sum(count > at for count in standing.rungs.values()) >= self._counts[at]:
                break
            work, last = more, at + 1
        if last == rung:
            return None
        gain = self._worth(standing, {profile: last}) - now
        seconds = None if pace is None else pace * self._work(shape, rung)
        return _Way(shape=shape, rung=rung, seconds=seconds, gain=gain, rate=gain / work)

    def _worth(self, standing: _Standing, climbed: Mapping[Profile, int]) -> float:
        """Of all that was taught, with some shapes having climbed so many rungs."""
        _, shapes = self._hopeful(standing, {**standing.rungs, **climbed})
        return worth([shapes[at] for at in best_sequence(shapes, FINALISTS)])

    def _hopeful(
        self, standing: _Standing, rungs: Mapping[Profile, int]
    ) -> tuple[list[Profile], list[tuple[float, float]]]:
        """Those that did not fail, each with its chance and its gain."""
        profiles = [profile for profile in rungs if profile not in standing.failed]
        return profiles, [(self._chance(standing, p, rungs[p]), self._gains[p]) for p in profiles]

    def _chance(self, standing: _Standing, profile: Profile, rungs: int) -> float:
        """That the shape is certified after so many rungs."""
        prepared = self._class.run.prepared
        asked = limit_of(prepared.budgets, Kind.ACCURACY)
        limit = _NO_LIMIT if asked is None else asked
        gate = prepared.dataset.splits[Split.GATE].examples
        untaught = standing.improvement[min(rungs, len(standing.improvement)) - 1]
        return chance(standing.beliefs[profile], limit, gate, untaught)

    def _standing(self) -> _Standing:
        pupils = {
            pupil.shape.profile: pupil
            for pupil in self._pupils()
            if pupil.shape.profile in self._gains
        }
        seen = {profile: _seen(pupil.taught) for profile, pupil in pupils.items()}
        usual = improvements([results for results in seen.values() if results])
        last = {profile: results[-1] for profile, results in seen.items() if results}
        curve = fitted(((self._gains[p], result) for p, result in last.items()), usual)
        return _Standing(
            beliefs={
                profile: believed(curve, gain, last.get(profile), usual)
                for profile, gain in self._gains.items()
            },
            rungs={profile: len(pupil.taught) for profile, pupil in pupils.items()},
            improvement=usual,
            failed=frozenset(p for p, pupil in pupils.items() if pupil.failed or p not in last),
        )

    def _pupils(self) -> tuple[_Pupil, ...]:
        by_profile: dict[Profile, list[Taught]] = {}
        for one in self._class.run.journal.taught:
            by_profile.setdefault(one.training.profile, []).append(one)
        return tuple(
            _Pupil(shape=self._shapes[profile], taught=tuple(taught))
            for profile, taught in by_profile.items()
            if profile in self._shapes
        )

    def _work(self, shape: TimedShape, rung: int) -> float:
        """Of a rung, in epochs of the largest shape.

        The teacher's answers and the judging cost about one epoch, whatever the shape.
        """
        share = shape.macs / self._most_macs if shape.macs and self._most_macs else 1.0
        return 1 + share * self._rungs[rung]

    def _pace(self) -> float | None:
        """Seconds that a unit of work took so far; None at first."""
        paces = [
            one.training.seconds / self._work(self._shapes[one.training.profile], one.training.rung)
            for one in self._class.run.journal.taught
            if one.training.profile in self._shapes and one.training.failure is None
        ]
        return sum(paces) / len(paces) if paces else None


def _limit(expected_s: float | None, left_s: float) -> float | None:
    """Seconds for a training that may come to its end late; None where there is time enough.

    The first one has nothing to be estimated by, and may take half of what is left.
    """
    if math.isinf(left_s):
        return None
    if expected_s is None:
        return float(round(left_s / 2))
    return float(round(left_s)) if expected_s > _TIGHT * left_s else None


def _seen(taught: Sequence[Taught]) -> tuple[Seen, ...]:
    return tuple(
        Seen(
            rung=one.training.rung,
            loss=one.training.loss,
            examples=one.training.examples,
            discordant=one.discordant,
        )
        for one in taught
        if one.training.loss is not None and one.training.failure is None
    )
