"""A hold is lost with its connection, whatever the device says of the next one."""

import pytest

from deployopt.core.codec import encode_json
from deployopt.core.errors import UsageError
from deployopt.remote import holding
from deployopt.remote.facts import Facts
from deployopt.remote.holding import Hold
from deployopt.remote.link import RefusedError
from deployopt.remote.ssh import Settings

FACTS = Facts(
    python="3.11", arch="x86_64", bits=64, system="linux", libc="glibc", libc_version="2.36",
    memory_bytes=1, disk_free_bytes=1, boot="b", clock_s=0.0, root="/",
)  # fmt: skip


class Link:
    """A connection to a device that one call holds already."""

    held = False
    alive = True

    def __init__(self, *_: object) -> None:
        pass

    def begin(self, *_: object) -> None:
        pass

    def answer(self, *_: object) -> bytes:
        return encode_json(FACTS)

    def ask(self, *_: object) -> None:
        if Link.held:
            raise RefusedError("usage", "the fleet has it under another name, too.")
        Link.held = True

    def lives(self) -> bool:
        return Link.alive

    def close(self) -> None:
        pass


def test_a_device_that_has_not_noticed_the_loss_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holding, "Link", Link)
    monkeypatch.setattr(holding, "ssh_command", lambda *_: ["ssh"])
    settings = Settings(config=None, python=None)
    hold = Hold("ssh://board", "t" * 64, arch="x86_64", settings=settings)
    assert hold.lasts()
    monkeypatch.setattr(Link, "alive", False)
    assert not hold.lasts()
    with pytest.raises(UsageError, match="under another name"):
        Hold("ssh://board", "t" * 64, arch="x86_64", settings=settings)
