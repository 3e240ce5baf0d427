"""Agreement without labels."""

import numpy as np
import pytest

from deployopt.core.samples import Array
from deployopt.device.agreement import agrees, relative_rms

ROW = np.array([[0.1, 0.9, 0.3]], dtype=np.float32)
MAP = np.linspace(-1, 1, 64, dtype=np.float32).reshape(1, 8, 8)


@pytest.mark.parametrize(
    ("candidate", "reference", "expected"),
    [
        (ROW + 0.5, ROW, True),
        (ROW[:, ::-1].copy() * [[1, 1, 9]], ROW, False),
        (np.vstack([ROW, ROW]), np.vstack([ROW, ROW]), True),
        (np.vstack([ROW, -ROW]), np.vstack([ROW, ROW]), False),
        (ROW * np.nan, ROW, False),
        (MAP * 1.05, MAP, True),
        (MAP * 1.2, MAP, False),
        (MAP[:, :4], MAP, False),
        (np.array([1, 2]), np.array([1, 2]), True),
        (np.array([1, 2]), np.array([1, 3]), False),
        (np.zeros((0, 3)), np.zeros((0, 3)), True),
    ],
)
def test_classes_by_the_greatest_maps_by_the_error_numbers_by_equality(
    candidate: Array, reference: Array, *, expected: bool
) -> None:
    assert agrees({"y": candidate}, {"y": reference}) is expected


def test_every_output_has_to_agree() -> None:
    assert not agrees({"y": MAP}, {"y": MAP, "z": MAP})
    assert not agrees({"y": MAP, "z": -MAP}, {"y": MAP, "z": MAP})


def test_the_error_is_relative_to_the_reference() -> None:
    assert relative_rms(MAP * 3, MAP) == pytest.approx(2.0)
    assert relative_rms(MAP, MAP) == 0.0
