"""Energy counters: packages only, one turn over, nothing where nothing counts."""

from pathlib import Path

import pytest

from deployopt.device.energy import Counter, Meter, energy_between, input_rail, read_energy


def zone(system: Path, name: str, micro: int, most: int = 1_000_000_000) -> None:
    folder = system / "sys/class/powercap" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "energy_uj").write_text(f"{micro}\n")
    (folder / "max_energy_range_uj").write_text(f"{most}\n")


def test_packages_count_and_their_parts_do_not(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", 5_000_000)
    zone(tmp_path, "intel-rapl:1", 1_000_000)
    zone(tmp_path, "intel-rapl:0:0", 3_000_000)
    before = read_energy(tmp_path)
    assert set(before) == {"intel-rapl:0", "intel-rapl:1"}
    zone(tmp_path, "intel-rapl:0", 7_500_000)
    assert energy_between(before, read_energy(tmp_path)) == pytest.approx(2.5)


def test_a_counter_that_starts_anew(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", 999_000_000)
    before = read_energy(tmp_path)
    zone(tmp_path, "intel-rapl:0", 1_000_000)
    assert energy_between(before, read_energy(tmp_path)) == pytest.approx(2.0)


def test_nothing_where_nothing_counts(tmp_path: Path) -> None:
    assert read_energy(tmp_path) == {}
    assert energy_between({}, {}) is None
    gone: dict[str, Counter] = {}
    assert energy_between({"intel-rapl:0": Counter(joules=1.0)}, gone) is None


class Board:
    """A Jetson's sensor, whose power is set, and a clock that moves with it."""

    def __init__(self, system: Path) -> None:
        self.now = 0
        self.folder = system / "sys/class/hwmon/hwmon3"
        self.folder.mkdir(parents=True)
        for number, name in enumerate(("VDD_CPU_GPU_CV", "VDD_IN"), start=1):
            (self.folder / f"in{number}_label").write_text(f"{name}\n")
            (self.folder / f"in{number}_input").write_text("5000\n")
            (self.folder / f"curr{number}_input").write_text("99999\n")

    def watts(self, power_w: int) -> None:
        (self.folder / "curr2_input").write_text(f"{power_w * 200}\n")

    def clock(self) -> int:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now += int(seconds * 1e9)


def test_a_rail_is_read_again_and_again_while_it_counts(tmp_path: Path) -> None:
    board = Board(tmp_path)
    board.watts(10)
    meter = Meter(board.clock, tmp_path)
    meter.begin()
    for power in (10, 10, 20, 20):
        board.passes(0.1)
        board.watts(power)
        meter.sample()
    board.passes(0.05)
    board.watts(1000)
    meter.sample()  # not a tenth of a second yet
    board.watts(20)
    meter.end()
    assert meter.joules == pytest.approx(1.0 + 1.0 + 1.5 + 2.0 + 1.0)
    board.passes(60)  # of others
    meter.begin()
    board.passes(0.1)
    meter.end()
    assert meter.joules == pytest.approx(6.5 + 2.0)


def test_a_sensor_that_falls_silent_tells_nothing(tmp_path: Path) -> None:
    board = Board(tmp_path)
    meter = Meter(board.clock, tmp_path)
    meter.begin()
    (board.folder / "curr2_input").unlink()
    board.passes(1)
    meter.end()
    assert meter.joules is None


def test_a_counter_is_taken_before_a_rail(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", 5_000_000)
    board = Board(tmp_path)
    meter = Meter(board.clock, tmp_path)
    zone(tmp_path, "intel-rapl:0", 6_000_000)
    meter.begin()
    zone(tmp_path, "intel-rapl:0", 8_000_000)
    board.passes(1)
    meter.sample()
    meter.end()
    assert meter.joules == pytest.approx(2.0)


def test_where_no_input_is_measured_nothing_is_told(tmp_path: Path) -> None:
    board = Board(tmp_path)
    (board.folder / "in2_label").write_text("VDD_SOC\n")
    meter = Meter(board.clock, tmp_path)
    meter.begin()
    meter.end()
    assert input_rail(tmp_path) is None
    assert meter.joules is None
