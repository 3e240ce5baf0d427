"""Who is taught next, and for how long: rungs of more and more epochs, for fewer and fewer shapes.

In: shapes that can meet the latency budget, a class to teach them in. Out: trainings, in the log.
Each rung is given its share of the time; the shapes that promise most climb (successive halving,
Jamieson & Talwalkar 2016). A training is begun only where it is expected to end in time.
"""

import math
from collections.abc import Sequence
from typing import Final

import msgspec

from deployopt.core.budget import limit_of
from deployopt.core.measurement import Split
from deployopt.core.metric import Kind
from deployopt.core.search import Effort, Profile, TimedShape
from deployopt.pipeline.searching.journal import Taught
from deployopt.pipeline.searching.merit import Seen, chance, improvements, promise
from deployopt.pipeline.searching.sampling import next_shape
from deployopt.pipeline.searching.teaching import Class, teach

RUNGS: Final = {Effort.DEFAULT: (1, 3, 6), Effort.EXTENSIVE: (1, 4, 10)}
"""Epochs that each rung adds."""
SHAPES: Final = {Effort.DEFAULT: (4, 3, 2), Effort.EXTENSIVE: (8, 5, 3)}
"""How many shapes at most come to each rung."""
SHARES: Final = (0.2, 0.35, 0.45)
"""Of the time for teaching, by rung."""
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
        self._best_ratio = best_ratio
        self._rungs, self._counts = RUNGS[school.run.effort], SHAPES[school.run.effort]
        self._reserve_s = reserve_s

    def run(self) -> None:
        """Teach until the effort's counts are reached or the time is not enough for more."""
        budget = self._class.run.budget
        for rung, count in enumerate(self._counts):
            end_s = self._end_of(rung)
            while self._at(rung) < count:
                shape = self._next(rung)
                if shape is None:
                    break
                expected = self._expected_s(shape, rung)
                left = budget.left_s - self._reserve_s
                late = budget.spent_s + (expected or 0.0) > end_s and self._at(rung) > 0
                if late or (expected or _LEAST_S) > left:
                    break
                about = f", about {expected / 60:.0f} min" if expected else ""
                self._class.run.watcher.note(
                    f"Teaching {shape.profile.words} for {self._rungs[rung]} epochs{about}"
                )
                teach(self._class, shape.profile, self._rungs, _limit(expected, left))

    def promises(self) -> dict[Profile, float]:
        """By profile that was taught, what it promises, in the order of first teaching."""
        prepared, pupils = self._class.run.prepared, self._pupils()
        asked = limit_of(prepared.budgets, Kind.ACCURACY)
        limit = _NO_LIMIT if asked is None else asked
        gate = prepared.dataset.splits[Split.GATE].examples
        seen = {pupil.shape.profile: _seen(pupil.taught) for pupil in pupils}
        usual = improvements([results for results in seen.values() if results])
        found = {}
        for pupil in pupils:
            results = seen[pupil.shape.profile]
            if pupil.failed or not results:
                found[pupil.shape.profile] = _FAILED
                continue
            last = results[-1]
            likely = chance(last, limit, gate, usual[min(last.rung, len(usual) - 1)])
            found[pupil.shape.profile] = promise(likely, pupil.shape.ratio, self._best_ratio)
        return found

    def _pupils(self) -> tuple[_Pupil, ...]:
        by_profile: dict[Profile, list[Taught]] = {}
        for one in self._class.run.journal.taught:
            by_profile.setdefault(one.training.profile, []).append(one)
        return tuple(
            _Pupil(shape=self._shapes[profile], taught=tuple(taught))
            for profile, taught in by_profile.items()
            if profile in self._shapes
        )

    def _at(self, rung: int) -> int:
        return sum(len(pupil.taught) > rung for pupil in self._pupils())

    def _next(self, rung: int) -> TimedShape | None:
        promises = self.promises()
        if rung == 0:
            shapes = tuple(self._shapes.values())
            return next_shape(shapes, promises, self._class.run.prepared.request.seed)
        waiting = [p.shape for p in self._pupils() if len(p.taught) == rung and not p.failed]
        return max(waiting, key=lambda shape: promises[shape.profile], default=None)

    def _end_of(self, rung: int) -> float:
        """When this rung should be over, in seconds of the search's clock."""
        budget = self._class.run.budget
        share = SHARES[rung] / sum(SHARES[rung:])
        return budget.spent_s + (budget.left_s - self._reserve_s) * share

    def _expected_s(self, shape: TimedShape, rung: int) -> float | None:
        """By what an epoch of other shapes took, in proportion to their work; None at first."""
        costs = []
        for one in self._class.run.journal.taught:
            record, other = one.training, self._shapes.get(one.training.profile)
            if other is None or record.failure is not None:
                continue
            work = shape.macs / other.macs if shape.macs and other.macs else 1.0
            epochs = self._rungs[min(record.rung, len(self._rungs) - 1)]
            # The teacher's answers and the judging cost about one epoch, whatever the shape.
            costs.append(record.seconds / (epochs + 1) * (1 + work * self._rungs[rung]))
        return sum(costs) / len(costs) if costs else None


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
