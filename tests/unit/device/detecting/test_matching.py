"""Boxes matched by pycocotools."""

import importlib.util

import numpy as np
import pytest

from deployopt.core.boxes import Found, Truth
from deployopt.core.errors import MissingExtraError
from deployopt.device.detecting.matching import match_boxes, need_matching

pytest.importorskip("pycocotools")
SQUARE = [0.2, 0.2, 0.6, 0.6]


def truth(classes: list[int], *, crowd: bool = False) -> Truth:
    return Truth(
        boxes=np.array([SQUARE] * len(classes)).reshape(-1, 4),
        classes=np.array(classes, dtype=np.int64),
        crowd=np.full(len(classes), crowd),
    )


def found(classes: list[int], shift: float = 0.0, score: float = 0.9) -> Found:
    return Found(
        boxes=np.array([SQUARE] * len(classes)).reshape(-1, 4) + shift,
        classes=np.array(classes, dtype=np.int64),
        scores=np.full(len(classes), score),
    )


def test_every_box_found_where_it_is_has_an_map_of_one() -> None:
    matches = match_boxes([truth([0]), truth([1])], [found([0]), found([1])])
    assert matches.precision == pytest.approx(1.0)


def test_the_wrong_class_finds_nothing() -> None:
    assert match_boxes([truth([0])], [found([1])]).precision == 0.0


def test_a_box_beside_passes_the_lower_thresholds_only() -> None:
    # A shift of 0.04 of 0.4 leaves 0.36^2 / (2 * 0.16 - 0.36^2) = 0.68 of the union.
    (table,) = match_boxes([truth([0])], [found([0], shift=0.04)]).tables
    assert table.found[:, 0].tolist() == [True] * 4 + [False] * 6


def test_a_crowd_is_neither_to_be_found_nor_an_error() -> None:
    matches = match_boxes([truth([0]), truth([0], crowd=True)], [found([0]), found([0])])
    assert matches.precision == pytest.approx(1.0)
    assert matches.tables[0].boxes.tolist() == [1.0, 0.0]
    assert not matches.tables[0].counts[0].all()


def test_without_pycocotools_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match="detection"):
        need_matching()
