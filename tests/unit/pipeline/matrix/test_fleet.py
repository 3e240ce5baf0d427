"""Boards are held for one call, and let go whatever becomes of it."""

import errno
import threading
import time
from pathlib import Path

import msgspec
import pytest

from deployopt.core.errors import UnreachableError, UsageError
from deployopt.core.fleet import FleetDevice, FleetFile
from deployopt.core.matrix import NOBODY
from deployopt.pipeline.matrix import fleet
from deployopt.pipeline.matrix.fleet import held_boards
from tests.fakes.cells import cell

FLEET = FleetFile(
    device=tuple(
        FleetDevice(name=name, address=f"ssh://{name}", target="rpi4") for name in ("one", "two")
    )
)


def test_a_board_that_answers_when_the_call_is_over_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers, closed = threading.Event(), threading.Event()

    class Hold:
        def __init__(self, address: str, *_: object, **__: object) -> None:
            if address == "ssh://one":
                raise UsageError("it is of another architecture.")
            assert answers.wait(60)

        def close(self) -> None:
            closed.set()

    def reached(*_: object) -> None:
        raise UnreachableError("it is not looked at.")

    monkeypatch.setattr(fleet, "Hold", Hold)
    monkeypatch.setattr(fleet, "reached", reached)
    asked = msgspec.structs.replace(cell(store=tmp_path), pool="rpi4")
    with pytest.raises(UsageError, match="Device one: "), held_boards([asked], FLEET, NOBODY):
        pass
    time.sleep(0.1)
    assert not closed.is_set()
    answers.set()
    assert closed.wait(60)


def test_a_fault_while_a_board_is_looked_at_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fleet, "Hold", full)
    asked = msgspec.structs.replace(cell(store=tmp_path), pool="rpi4")
    with pytest.raises(OSError, match="No space left"), held_boards([asked], FLEET, NOBODY):
        pass
