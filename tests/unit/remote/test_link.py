"""A device that lies, talks nonsense, or says nothing."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from deployopt.core.errors import DeviceError, IntegrityError, UnreachableError
from deployopt.device.framing import CHUNK, WORD_MAX
from deployopt.remote.link import Link, LostError, RefusedError, error_of

NONCE = "5" * 32
_BEGIN = """
import os, sys, struct, json
def word(number=1, op="ready", nonce={nonce!r}, **more):
    body = json.dumps(dict(nonce=nonce, number=number, op=op, body={{}}) | more).encode()
    return struct.pack(">cI", b"J", len(body)) + body
def out(data):
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
os.read(0, 1)
"""


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deployopt.remote.link._END_S", 0.2)


@contextmanager
def device(script: str, *, noise: bytes = b"") -> Iterator[Link]:
    """A link to a program, past its first line."""
    first = f"out({noise!r} + b'\\ndeployopt {NONCE}\\n')\n"
    text = _BEGIN.format(nonce=NONCE) + first + script
    link = Link([sys.executable, "-I", "-c", text], NONCE, lambda _code, _said: None)
    try:
        link.begin(b"x", 20.0)
        yield link
    finally:
        link.close()


def _ask(link: Link, quiet_s: float = 20.0) -> bytes:
    return link.ask("serve", {}, "ready", quiet_s)


def test_an_answer_past_what_a_shell_prints() -> None:
    noise = b"Welcome to \xff\x00 board\n" * 100
    with device("out(word(body=dict(a=1)))", noise=noise) as link:
        assert _ask(link) == b'{"a": 1}'


@pytest.mark.parametrize(
    "script",
    [
        "out(b'\\xff' * 100)",
        "out(b'J' + b'\\xff' * 4 + b'{}')",
        f"out(struct.pack('>cI', b'J', {WORD_MAX}))",
        "out(struct.pack('>cI', b'J', 2) + b'[]')",
        "out(struct.pack('>cI', b'J', 40) + b'[' * 40)",
        "out(struct.pack('>cI', b'B', 2) + b'{}')",
        "out(word(number=2))",
        "out(word(number=0))",
        "out(word(nonce='6' * 32))",
        "out(word(op='stored'))",
        "out(word(more=1))",
        "out(word(op='working', body=dict(share='x')))",
        "out(word(op='failed', body=dict(kind=1)))",
    ],
)
def test_nonsense_is_refused(script: str) -> None:
    with (
        device(f"{script}\nos.read(0, 1)\nos.read(0, 99)\n") as link,
        pytest.raises(IntegrityError) as caught,
    ):
        _ask(link)
    assert "\n" not in str(caught.value)


def test_a_no_keeps_its_kind() -> None:
    said = "dict(kind='space', message='full\\x1b[2J')"
    with (
        device(f"out(word(op='failed', body={said}))") as link,
        pytest.raises(RefusedError, match=r"full\[2J") as caught,
    ):
        _ask(link)
    assert type(error_of(caught.value)).__name__ == "StorageError"
    assert type(error_of(RefusedError("who knows", "x"))) is DeviceError


def test_it_ends_without_an_answer() -> None:
    with (
        device("print('last words', file=sys.stderr)\nsys.exit(3)") as link,
        pytest.raises(LostError) as caught,
    ):
        _ask(link)
    assert caught.value.code == 3
    assert not caught.value.silent
    assert "last words" in caught.value.said


def test_it_says_nothing() -> None:
    with device("import time\ntime.sleep(60)") as link:
        start = time.monotonic()
        with pytest.raises(LostError) as caught:
            _ask(link, 0.3)
        assert time.monotonic() - start < 5
    assert caught.value.silent


def test_it_takes_nothing() -> None:
    with device("import time\ntime.sleep(60)") as link, pytest.raises(LostError):
        _flood(link)


def _flood(link: Link) -> None:
    for _ in range(100):
        link.send_chunk(bytes(2**20), 0.3)


def test_a_flood_before_the_first_line_is_refused() -> None:
    script = "import os\nwhile True: os.write(1, b'Welcome ' * 10000)"
    link = Link([sys.executable, "-c", script], NONCE, lambda _code, _said: None)
    try:
        with pytest.raises(UnreachableError, match="prints without end"):
            link.begin(b"x", 20.0)
    finally:
        link.close()


def test_a_flood_of_complaints_is_kept_short() -> None:
    script = "sys.stderr.write('x' * 10_000_000)\nsys.stderr.flush()\nout(word(body=[1]))"
    with device(script) as link:
        assert _ask(link) == b"[1]"
        assert len(link._said) <= 8192


def test_a_file_that_comes() -> None:
    chunk = "struct.pack('>cI', b'B', 5) + b'abcde'"
    with device(f"out(word() + 2 * ({chunk}))") as link:
        _ask(link)
        assert b"".join(link.chunks(10, 20.0)) == b"abcdeabcde"


@pytest.mark.parametrize("data", ["b'B\\0\\0\\0\\0'", "b'B\\0\\0\\0\\5abcde'"])
def test_a_file_of_another_size_than_announced(data: str) -> None:
    with device(f"out(word() + {data})") as link:
        _ask(link)
        with pytest.raises(IntegrityError, match="more of a file"):
            list(link.chunks(3, 20.0))
    assert CHUNK == b"B"


def test_the_trouble_that_was_found_is_raised() -> None:
    script = "import sys\nsys.stderr.write('Permission denied')\nsys.exit(255)"

    def trouble(code: int | None, said: str) -> DeviceError | None:
        return DeviceError(f"{code} {said}")

    link = Link([sys.executable, "-c", script], NONCE, trouble)
    try:
        with pytest.raises(DeviceError, match="255 Permission denied"):
            link.begin(b"x" * 10**6, 20.0)
    finally:
        link.close()


def test_nothing_is_left_of_it() -> None:
    with device(
        "import signal\nsignal.signal(15, signal.SIG_IGN)\nimport time\ntime.sleep(60)"
    ) as link:
        process = link._process
    assert process.poll() is not None
