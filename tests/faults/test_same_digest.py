"""Clocks, time stamps, places and hash seeds decide nothing: the bundle's digest is the same."""

import json
import os
import shutil
from pathlib import Path

import msgspec
import pytest

from tests.faults.builds import (
    DONE,
    OUTPUT,
    STORE,
    Case,
    Warm,
    bundle_problems,
    make_case,
    place,
    said,
)

pytestmark = pytest.mark.slow
DAYS = (0, 4_102_444_800)  # 1970 and 2100


@pytest.mark.parametrize("day", DAYS)
def test_a_store_touched_to_another_day(case: Case, tmp_path: Path, day: int) -> None:
    """Nothing is done again for it, and nothing is thought to be old."""
    again = msgspec.structs.replace(case, words=(*case.words, "--json"))
    assert again.run(tmp_path) in DONE, said(tmp_path)
    shutil.rmtree(place(tmp_path) / OUTPUT)
    for path in (place(tmp_path), *place(tmp_path).rglob("*")):
        os.utime(path, (day, day))
    assert again.run(tmp_path) in DONE, said(tmp_path)
    assert bundle_problems(place(tmp_path) / OUTPUT, {case.digest}) == []
    result = json.loads((tmp_path / "run" / "out").read_bytes())
    steps = [step["reused"] for one in result["candidates"] for step in one["steps"]]
    assert steps
    assert all(steps)
    assert not list((place(tmp_path) / STORE).glob("quarantine/*"))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_clock_that_jumps_back_twenty_years(case: Case, tmp_path: Path, share: float) -> None:
    assert case.run(tmp_path, int(share * case.calls), "jump") in DONE, said(tmp_path)
    assert bundle_problems(place(tmp_path) / OUTPUT, {case.digest}) == []
    assert case.run(tmp_path) in DONE, said(tmp_path)  # the clock is right again
    assert bundle_problems(place(tmp_path) / OUTPUT, {case.digest}) == []


def test_writes_that_take_half(case: Case, tmp_path: Path) -> None:
    """A call may write less than it was given; the rest follows."""
    assert case.run(tmp_path, 1, "short") in DONE, said(tmp_path)
    assert bundle_problems(place(tmp_path) / OUTPUT, {case.digest}) == []


def test_another_place_time_zone_and_hash_seed(
    case: Case, shim: Path, words: tuple[str, ...], tmp_path: Path
) -> None:
    folder = tmp_path / "a place with spaces" / "ünïcode"
    first = (*words, "-o", str(folder / "b"), "--store", str(folder / "store"))
    other = {"TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "77", "LC_ALL": "C"}
    with Warm(shim, folder / "warm", first, **other) as warm:
        assert make_case(warm, words, folder).digest == case.digest
