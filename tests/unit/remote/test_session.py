"""From the first word to a server, over a program in ssh's place."""

from pathlib import Path

import pytest

from deployopt.core.errors import UnreachableError, UsageError
from deployopt.device.machine import describe_machine
from deployopt.remote import session
from deployopt.remote.address import Address
from deployopt.remote.packing import Code
from deployopt.remote.session import Wish, open_session
from deployopt.remote.ssh import settings_here
from tests.unit.remote.conftest import StandIn


def _wish(tmp_path: Path, arch: str | None = None) -> Wish:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return Wish(
        address=Address(host="board"),
        settings=settings_here(),
        code=Code(),
        arch=arch,
        scratch=scratch,
    )


def test_a_server_that_answers(stand_in: StandIn, tmp_path: Path) -> None:
    found = open_session(_wish(tmp_path), lambda _: None)
    found.link.close()
    assert found.ready.machine.cpu == describe_machine().cpu
    assert found.facts.root == str(stand_in.root)
    assert list((tmp_path / "scratch").iterdir()) == []
    # What was packed is not kept beside what was unpacked.
    assert list((stand_in.root / "objects").iterdir()) == []


def test_another_architecture_gets_nothing(stand_in: StandIn, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the target is riscv"):
        open_session(_wish(tmp_path, "riscv"), lambda _: None)
    assert not list(stand_in.root.glob("code-*"))


def test_another_version_is_refused(
    stand_in: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "VERSION", "9.9.9")
    with pytest.raises(UnreachableError, match=r"answers with deployopt .*; this is 9\.9\.9"):
        open_session(_wish(tmp_path), lambda _: None)
    assert len(stand_in.calls) == 1
