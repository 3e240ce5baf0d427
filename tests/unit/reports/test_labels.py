"""Names beside points: the first keep their place, quiet ones give way, nothing leaves the area."""

from deployopt.reports.labels import Named, draw_labels
from deployopt.reports.svg import Box

AREA = Box(left=0, top=0, right=300, bottom=200)


def named(name: str, at: tuple[float, float], *, loud: bool = True, chosen: bool = False) -> Named:
    return Named(name=name, series=0, at=at, loud=loud, chosen=chosen)


def test_a_quiet_name_without_room_is_left_out() -> None:
    near = [Box(left=70, top=75, right=130, bottom=125)]
    loud = "".join(draw_labels([named("late", (100.0, 100.0))], AREA, near))
    quiet = "".join(draw_labels([named("late", (100.0, 100.0), loud=False)], AREA, near))
    assert ">late<" in loud
    assert ">late<" not in quiet


def test_reserved_places_stay_free() -> None:
    everywhere = Box(left=0, top=0, right=300, bottom=200)
    assert list(draw_labels([named("x", (50.0, 50.0))], AREA, [everywhere])) == []


def test_far_names_are_tied_to_their_point_and_the_chosen_is_strong() -> None:
    wall = Box(left=30, top=30, right=130, bottom=80)
    far = "".join(draw_labels([named("x", (60.0, 60.0), chosen=True)], AREA, [wall]))
    assert 'class="leader"' in far
    assert "strong-t" in far
