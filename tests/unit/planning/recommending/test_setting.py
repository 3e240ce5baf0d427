"""Boards, desktops and servers, by what their profiles say."""

import pytest

from deployopt.planning.recommending.setting import MARGINS, Setting, setting_of
from deployopt.planning.targets import load_target, target_names
from deployopt.planning.usable import usable_bytes


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("rpi4", Setting.EMBEDDED),
        ("jetson-orin-nano", Setting.EMBEDDED),
        ("x86-cpu", Setting.DESKTOP),
        ("rtx3060", Setting.DESKTOP),
        ("l4", Setting.SERVER),
        ("a100x4", Setting.SERVER),
    ],
)
def test_the_setting_follows_from_the_profile(name: str, setting: Setting) -> None:
    assert setting_of(load_target(name)) is setting


def test_every_shipped_target_has_one() -> None:
    assert {setting_of(load_target(name)) for name in target_names()} == set(Setting)


def test_smaller_places_give_up_more() -> None:
    assert MARGINS[Setting.EMBEDDED] > MARGINS[Setting.DESKTOP] > MARGINS[Setting.SERVER]


def test_memory_is_of_one_gpu() -> None:
    assert usable_bytes(load_target("a100x4")) == pytest.approx(38.5 * 2**30)
