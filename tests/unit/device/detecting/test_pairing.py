"""Reference and candidate on the same images."""

import msgspec
import numpy as np
import pytest

from deployopt.core.boxes import Found, Truth
from deployopt.core.errors import DeviceError, UsageError
from deployopt.device.detecting import pairing
from deployopt.device.detecting.matching import match_boxes
from deployopt.device.detecting.pairing import pair_detections

pytest.importorskip("pycocotools")
SQUARE = np.array([[0.2, 0.2, 0.6, 0.6]])
NOTHING = Found(boxes=np.zeros((0, 4)), classes=np.zeros(0, dtype=np.int64), scores=np.zeros(0))


def world(count: int = 120) -> tuple[list[Truth], list[Found]]:
    random = np.random.default_rng(0)
    truth = [
        Truth(boxes=SQUARE, classes=np.array([at % 3]), crowd=np.array([False]))
        for at in range(count)
    ]
    found = [
        Found(boxes=SQUARE, classes=np.array([at % 3]), scores=random.random(1))
        for at in range(count)
    ]
    return truth, found


def test_the_same_boxes_lose_nothing_and_cost_what_they_are() -> None:
    truth, found = world()
    paired = pair_detections(truth, found, found)
    assert (paired.lost, paired.gained, paired.loss.unlike) == (0, 0, 0)
    assert paired.loss.reference == paired.loss.candidate == pytest.approx(1.0)
    assert max(map(abs, paired.loss.pulls)) == 0.0
    # Of 40 boxes a class: the best one missed costs nearly all precision at first, the last 1/40.
    assert min(paired.loss.costs) >= 1 / 40 / 3 - 1e-9


def test_images_that_find_less_are_counted_and_pull() -> None:
    truth, found = world()
    worse = [NOTHING if at < 12 else one for at, one in enumerate(found)]
    paired = pair_detections(truth, found, worse)
    assert (paired.lost, paired.gained, paired.loss.unlike) == (12, 0, 12)
    assert paired.loss.reference - paired.loss.candidate == pytest.approx(0.1, abs=0.01)
    assert min(paired.loss.pulls[:12]) > max(paired.loss.pulls[12:])
    assert paired.loss.costs == ()
    better = pair_detections(truth, worse, found)
    assert (better.lost, better.gained) == (0, 12)


def test_data_without_boxes_is_refused() -> None:
    empty = Truth(
        boxes=np.zeros((0, 4)), classes=np.zeros(0, dtype=np.int64), crowd=np.zeros(0, dtype=bool)
    )
    with pytest.raises(UsageError, match="no boxes"):
        pair_detections([empty], [NOTHING], [NOTHING])


def test_another_way_to_count_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    truth, found = world()

    def other(*given: list[Truth] | list[Found]) -> object:
        matches = match_boxes(*given)  # type: ignore[arg-type] # as they were given
        return msgspec.structs.replace(matches, precision=matches.precision - 0.01)

    monkeypatch.setattr(pairing, "match_boxes", other)
    with pytest.raises(DeviceError, match="counts in another way"):
        pair_detections(truth, found, found)
