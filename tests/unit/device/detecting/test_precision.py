"""Weighted mAP: of repeated and left-out images it is pycocotools' own of those images."""

from collections.abc import Sequence

import numpy as np
import pytest

from deployopt.core.boxes import Found, Truth
from deployopt.device.detecting.precision import (
    changes_spoiled_by_each,
    changes_without_each,
    mean_precision,
    whole_precision,
)

pytest.importorskip("pycocotools")
from deployopt.device.detecting.matching import match_boxes

IMAGES = 60


def scenes(seed: int = 0) -> tuple[list[Truth], list[Found]]:
    """Boxes of four classes, some of crowds; most found a little beside, some out of nothing."""
    random = np.random.default_rng(seed)
    truth, found = [], []
    for _ in range(IMAGES):
        there, false = int(random.integers(0, 5)), int(random.integers(0, 5))
        corner = random.random((there + false, 2)) * 0.7
        boxes = np.hstack([corner, corner + 0.05 + random.random((there + false, 2)) * 0.25])
        classes = random.integers(0, 4, there + false)
        truth.append(
            Truth(boxes=boxes[:there], classes=classes[:there], crowd=random.random(there) < 0.15)
        )
        kept = np.concatenate([random.random(there) < 0.85, np.ones(false, dtype=np.bool_)])
        found.append(
            Found(
                boxes=(boxes + random.normal(0, 0.015, boxes.shape))[kept],
                classes=classes[kept],
                scores=np.round(random.random(there + false)[kept], 2),
            )
        )
    return truth, found


def of_images(truth: Sequence[Truth], found: Sequence[Found], chosen: Sequence[int]) -> float:
    return match_boxes([truth[i] for i in chosen], [found[i] for i in chosen]).precision


def test_of_all_images_it_is_pycocotools_own() -> None:
    truth, found = scenes()
    matches = match_boxes(truth, found)
    assert 0.1 < matches.precision < 0.9
    assert whole_precision(matches.tables) == pytest.approx(matches.precision, abs=1e-12)


def test_weights_are_how_often_an_image_is_there() -> None:
    truth, found = scenes()
    tables = match_boxes(truth, found).tables
    weights = np.random.default_rng(1).multinomial(IMAGES, [1 / IMAGES] * IMAGES, size=4)
    drawn = [np.repeat(np.arange(IMAGES), row).tolist() for row in weights]
    wanted = [of_images(truth, found, chosen) for chosen in drawn]
    assert mean_precision(tables, weights.astype(float)) == pytest.approx(wanted, abs=1e-12)


def test_a_change_is_near_what_leaving_the_image_out_makes() -> None:
    truth, found = scenes()
    matches = match_boxes(truth, found)
    changes = changes_without_each(matches.tables)
    rest = [
        of_images(truth, found, [i for i in range(IMAGES) if i != at]) - matches.precision
        for at in range(IMAGES)
    ]
    # Beside 101 fixed recalls, whose jumps it leaves out.
    assert np.corrcoef(changes, rest)[0, 1] > 0.8
    assert changes == pytest.approx(np.asarray(rest), abs=0.01)


def test_missing_all_that_an_image_has_never_helps() -> None:
    truth, found = scenes()
    changes = changes_spoiled_by_each(match_boxes(truth, found).tables)
    assert changes.max() <= 1e-12
    assert changes.min() < -0.001


def test_without_a_box_there_is_no_precision() -> None:
    assert np.isnan(whole_precision(()))
