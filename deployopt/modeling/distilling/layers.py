"""Which layer of the teacher each layer of the student answers for."""

from collections.abc import Sequence

from deployopt.core.errors import StepError


def layer_map(teacher: int, student: int, kept: Sequence[int] = ()) -> tuple[int, ...]:
    """For each student layer the teacher layer whose output it is to give.

    A layer stands for itself and for those dropped behind it: of 0, 2, 4 kept of six the first
    answers for 0 and 1 and so learns layer 1's output, and the last one always learns the
    teacher's last. Without `kept` the teacher's layers are dealt out evenly.

    Raises:
        StepError: the kept layers are not the student's.
    """
    if not kept:
        return tuple(max(0, (at + 1) * teacher // student - 1) for at in range(student))
    if len(kept) != student or list(kept) != sorted(set(kept)) or kept[-1] >= teacher:
        raise StepError(
            f"The student has {student} layers and the teacher {teacher}; the layers "
            f"{', '.join(map(str, kept))} cannot be those that were kept."
        )
    return (*(following - 1 for following in kept[1:]), teacher - 1)
