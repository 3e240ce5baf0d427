"""SVG pieces: escaped, round ticks, marks that tell series apart."""

import pytest

from deployopt.reports.svg import (
    Box,
    Scale,
    drawing,
    frame,
    hinted,
    log_ticks,
    mark,
    tag,
    ticks,
    words,
)
from tests.fakes.markup import read_xml
from tests.fakes.payloads import payloads


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 100, [0, 20, 40, 60, 80, 100]),
        (0, 0.7, [0, 0.2, 0.4, 0.6]),
        (-0.4, 1.1, [0, 0.5, 1.0]),
        (5, 5, [5]),
    ],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high, 5) == pytest.approx(expected) or ticks(low, high, 3) == pytest.approx(
        expected
    )


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (0.06, 1.16, ["0.1", "0.2", "0.5", "1"]),
        (0.3, 1.2, ["0.5", "1"]),
        (1e-5, 0.05, ["1e-05", "0.0001", "0.001", "0.01"]),
    ],
)
def test_logarithmic_ticks_are_round(low: float, high: float, labels: list[str]) -> None:
    assert [label for _, label in log_ticks(low, high)] == labels
    assert all(10**place == pytest.approx(float(label)) for place, label in log_ticks(low, high))


def test_a_hint_is_text() -> None:
    assert read_xml(hinted("<b>&", "<g/>"))[0].text == "<b>&"


def test_a_scale_maps_and_clips() -> None:
    scale = Scale(low=0, high=10, start=100, end=200)
    assert scale.at(5) == 150
    assert scale.within(-5) == 100
    assert scale.within(50) == 200


def test_text_and_attributes_are_escaped() -> None:
    for payload in payloads()[::5]:
        made = drawing(10, 10, payload, words(payload, 1, 2), tag("g", {"class": "x"}))
        root = read_xml(made)
        assert {e.tag for e in root.iter()} == {"svg", "title", "text", "g"}


def test_marks_differ_when_the_colours_come_round() -> None:
    assert len({mark(0, 0, series).split()[0] for series in (0, 8)}) == 2
    assert mark(0, 0, 8) != mark(0, 0, 16)


def test_a_frame_stays_in_its_box() -> None:
    box = Box(left=40, top=20, right=400, bottom=200)
    x = Scale(low=0, high=63, start=box.left, end=box.right)
    y = Scale(low=-0.3, high=1.2, start=box.bottom, end=box.top)
    root = read_xml(f"<svg>{frame(box, x, y, ('x', 'y'))}</svg>")
    for item in root.iter("line"):
        assert box.left <= float(item.get("x1", "0")) <= box.right
        assert box.top <= float(item.get("y1", "0")) <= box.bottom
