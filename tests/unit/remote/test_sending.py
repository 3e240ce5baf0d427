"""Files to a device that lies about them."""

import hashlib
from pathlib import Path

import pytest

from deployopt.core.errors import IntegrityError
from deployopt.device.protocol import Working
from deployopt.remote.sending import LocalFile, send_missing
from tests.unit.remote.test_link import device

DATA = b"model" * 1000
DIGEST = hashlib.sha256(DATA).hexdigest()
_WORDS = """
def hear():
    kind, length = struct.unpack(">cI", sys.stdin.buffer.read(5))
    return sys.stdin.buffer.read(length)
"""


def _file(tmp_path: Path, size: int = len(DATA)) -> LocalFile:
    path = tmp_path / "model"
    path.write_bytes(DATA)
    return LocalFile(path=path, sha256=DIGEST, size=size)


def _missing(digest: str = DIGEST) -> str:
    return f"hear(); out(word(1, 'missing', body=dict(digests=[{digest!r}])));"


def _from(offset: int) -> str:
    return f"hear(); out(word(2, 'from', body=dict(offset={offset})));"


def test_only_the_rest_is_sent(tmp_path: Path) -> None:
    script = (
        f"{_WORDS}{_missing()}{_from(4000)} got = hear();"
        f"out(word(2, 'stored', body=dict(sha256={DIGEST!r})) if len(got) == 1000 else b'x' * 9)"
    )
    signs: list[Working] = []
    with device(script) as link:
        assert send_missing(link, [_file(tmp_path)], signs.append) == 5000
    assert [sign.share for sign in signs] == [0.8, 1.0]


@pytest.mark.parametrize(
    "script",
    [
        _missing("f" * 64),
        _missing() + _from(5001),
        _missing() + _from(-1),
        _missing() + _from(5000) + f"out(word(2, 'stored', body=dict(sha256={'f' * 64!r})))",
    ],
)
def test_a_device_that_lies(script: str, tmp_path: Path) -> None:
    with device(f"{_WORDS}{script}\nhear()") as link, pytest.raises(IntegrityError):
        send_missing(link, [_file(tmp_path)])


def test_a_file_that_became_shorter(tmp_path: Path) -> None:
    script = f"{_WORDS}{_missing()}{_from(0)}\nwhile True: hear()"
    with device(script) as link, pytest.raises(IntegrityError, match="became shorter"):
        send_missing(link, [_file(tmp_path, 6000)])


def test_a_beginning_of_another_file_is_sent_anew(tmp_path: Path) -> None:
    failed = "out(word(2, 'failed', body=dict(kind='integrity', message='other bytes')));"
    again = "hear(); out(word(3, 'from', body=dict(offset=0))); got = hear();"
    stored = f"out(word(3, 'stored', body=dict(sha256={DIGEST!r})) if len(got) == 5000 else b'')"
    script = f"{_WORDS}{_missing()}{_from(4000)} hear();{failed}{again}{stored}"
    with device(script) as link:
        send_missing(link, [_file(tmp_path)])
