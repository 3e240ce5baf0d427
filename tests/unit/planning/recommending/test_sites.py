"""Where training may happen."""

from deployopt.planning.recommending.sites import (
    DAY_H,
    WEEK_H,
    by_memory,
    elsewhere,
    hours_allowed,
    machines,
    trains,
)
from deployopt.planning.targets import load_target


def test_boards_never_train() -> None:
    assert not trains(load_target("rpi5"))
    assert not trains(load_target("jetson-orin-nano"))
    assert trains(load_target("x86-cpu"))
    assert all(trains(machine) for machine in machines())
    assert {"rtx3060", "a100x4"} <= {machine.name for machine in machines()}


def test_elsewhere_is_another_machine() -> None:
    here = load_target("rtx3060")
    assert "rtx3060" not in {other.name for other in elsewhere(here)}


def test_a_cpu_is_given_a_day() -> None:
    assert hours_allowed(load_target("x86-cpu")) == DAY_H
    assert hours_allowed(load_target("t4")) == WEEK_H


def test_targets_with_more_memory_come_by_size() -> None:
    sizes = [other.hardware.memory_usable for other in by_memory(load_target("t4"))]
    assert sizes == sorted(sizes)
    assert all(size > load_target("t4").hardware.memory_usable for size in sizes)
