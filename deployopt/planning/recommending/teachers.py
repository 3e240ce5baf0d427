"""Who could teach a small model: a better sibling that fits the training machine.

In: a candidate and the others of its task. Out: the best teacher by published quality, or nothing
where the model is no student or nobody is better.
"""

from collections.abc import Sequence
from typing import Final

from deployopt.core.standing import Standing
from deployopt.planning.memory import inference_need
from deployopt.planning.recommending.candidate import Candidate
from deployopt.planning.recommending.training import Plan
from deployopt.planning.usable import usable_bytes

_GAIN_MIN: Final = 0.5
"""Points by which a teacher has to be better."""


def teacher_of(
    student: Candidate, everyone: Sequence[Candidate], plan: Plan, examples: int
) -> Candidate | None:
    """The best of those that list it as a student and fit beside its training."""
    able = [
        (c.points, c)
        for c in everyone
        if student.entry.alias in c.entry.students
        and c.points is not None
        and student.points is not None
        and c.points >= student.points + _GAIN_MIN
        and examples >= c.entry.least_examples
        and _fits_beside(c, plan)
    ]
    return max(able, key=lambda pair: pair[0], default=(0.0, None))[1]


def _fits_beside(teacher: Candidate, plan: Plan) -> bool:
    """Its forward pass in the training's precision, the runtime counted twice to be safe."""
    if teacher.architecture is None or plan.way.standing is not Standing.INSIDE:
        return False
    training = plan.way.training
    need = inference_need(
        teacher.architecture,
        target=plan.target,
        precision=training.precision,
        batch=training.batch,
        context=training.length,
    )
    return need.total.upper + plan.way.need.total.upper <= usable_bytes(plan.target)
