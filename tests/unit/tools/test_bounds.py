"""Every dependency has a lower and an upper bound; the tool pins the lower ones."""

import subprocess

import pytest

from tools import bounds


def test_every_dependency_is_bounded_on_both_sides() -> None:
    found = bounds.all_bounds()
    assert len(found) > 20
    for one in found:
        assert [*map(int, one.low.split("."))] < [*map(int, one.high.split("."))], one


@pytest.mark.parametrize("open_one", ["numpy", "numpy>=1", "numpy<3", "numpy>=1,!=2,<3"])
def test_an_open_end_is_refused(open_one: str) -> None:
    with pytest.raises(ValueError, match="has not the form"):
        bounds.bounds_of(open_one)


def test_a_marker_stays_with_its_pin() -> None:
    found = bounds.bounds_of('numpy>=2.1,<3; python_version >= "3.13"')
    assert found == bounds.Bounds("numpy", "2.1", "3", '; python_version >= "3.13"')


def test_the_lowest_are_pinned_and_the_first_failure_ends_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        ran.append(command)
        return subprocess.CompletedProcess(command, 7 if "install" in command else 0)

    monkeypatch.setattr(subprocess, "run", run)
    assert bounds.main(["--lowest"]) == 7
    assert len(ran) == 2
    pins = [word for word in ran[1] if "==" in word]
    assert [p.partition("==")[0] for p in pins] == [b.name for b in bounds.small_bounds()]
    ran.clear()
    assert bounds.main(["--highest"]) == 7
    assert not [word for word in ran[1] if "==" in word]
