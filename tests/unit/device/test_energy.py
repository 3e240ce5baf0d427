"""Energy counters: packages only, one turn over, nothing where nothing counts."""

from pathlib import Path

import pytest

from deployopt.device.energy import Counter, energy_between, read_energy


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
