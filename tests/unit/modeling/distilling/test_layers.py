"""Which layer of the teacher a student's layer answers for."""

import pytest

from deployopt.core.errors import StepError
from deployopt.modeling.distilling.layers import layer_map


@pytest.mark.parametrize(
    ("teacher", "kept", "found"),
    [
        (6, (0, 2, 4), (1, 3, 5)),
        (6, (0, 1, 3, 5), (0, 2, 4, 5)),
        (6, (0, 1, 2, 3, 4, 5), (0, 1, 2, 3, 4, 5)),
        (12, (11,), (11,)),
    ],
)
def test_a_kept_layer_stands_for_those_behind_it(
    teacher: int, kept: tuple[int, ...], found: tuple[int, ...]
) -> None:
    assert layer_map(teacher, len(kept), kept) == found


@pytest.mark.parametrize(
    ("teacher", "student", "found"),
    [(6, 3, (1, 3, 5)), (12, 4, (2, 5, 8, 11)), (2, 3, (0, 0, 1)), (5, 2, (1, 4))],
)
def test_others_are_dealt_out_evenly(teacher: int, student: int, found: tuple[int, ...]) -> None:
    assert layer_map(teacher, student) == found


@pytest.mark.parametrize("kept", [(0, 2), (0, 1, 6), (2, 1, 0), (1, 1, 2)])
def test_layers_that_cannot_be(kept: tuple[int, ...]) -> None:
    with pytest.raises(StepError, match="cannot be those that were kept"):
        layer_map(6, 3, kept)
