"""The resident server, as a process on pipes."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from deployopt.core.codec import encode_json
from deployopt.core.version import VERSION
from deployopt.device.framing import HEADER, WORD, frame, frame_kind
from deployopt.device.serving_words import Ready, Word, decode_word
from deployopt.device.setup import Limits

NONCE = "7" * 32


class Talk:
    """One process and its two ends."""

    def __init__(self, root: Path) -> None:
        words = [sys.executable, "-P", "-m", "deployopt.device.serving", NONCE, "3", str(root)]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def put(self, number: int, op: str, body: object) -> None:
        assert self.process.stdin is not None
        words = {"number": number, "op": op, "body": body}
        self.process.stdin.write(frame(WORD, encode_json(words)))
        self.process.stdin.flush()

    def hear(self) -> Word:
        assert self.process.stdout is not None
        _, length = frame_kind(self.process.stdout.read(HEADER.size))
        return decode_word(self.process.stdout.read(length), Word)

    def end(self) -> None:
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()
        self.process.wait(timeout=20)


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talk]:
    talk = Talk(tmp_path_factory.mktemp("root"))
    ready = talk.hear()
    assert (ready.nonce, ready.number, ready.op) == (NONCE, 3, "ready")
    assert decode_word(ready.body, Ready).version == VERSION
    assert decode_word(ready.body, Ready).machine.memory_bytes == psutil.virtual_memory().total
    yield talk
    talk.end()


def test_its_limits_are_those_of_its_memory(talk: Talk) -> None:
    talk.put(4, "limits", None)
    word = talk.hear()
    assert (word.number, word.op) == (4, "limits")
    limits = decode_word(word.body, Limits)
    assert limits.memory_bytes is not None
    assert 0 < limits.memory_bytes <= psutil.virtual_memory().total


@pytest.mark.parametrize(
    ("op", "body", "kind"),
    [
        ("unknown", None, "device"),
        ("have", {}, "integrity"),
        ("have", {"digests": ["../../etc/passwd"]}, "integrity"),
        ("ask", {"request": {}, "limits": {}, "files": []}, "device"),
        (
            "ask",
            {"request": {}, "limits": {}, "files": [{"path": "/etc/x", "sha256": "a" * 64}]},
            "integrity",
        ),
        (
            "ask",
            {"request": {}, "limits": {}, "files": [{"path": "a/../../x", "sha256": "a" * 64}]},
            "integrity",
        ),
        (
            "ask",
            {"request": {}, "limits": {}, "files": [{"path": "a/x", "sha256": "a" * 64}]},
            "missing",
        ),
    ],
)
def test_what_it_cannot_do_is_said_and_it_goes_on(
    op: str, body: object, kind: str, talk: Talk
) -> None:
    talk.put(5, op, body)
    word = talk.hear()
    assert word.op == "failed"
    assert msgspec.json.decode(word.body)["kind"] == kind
    talk.put(6, "limits", None)
    assert talk.hear().op == "limits"


def test_it_ends_with_its_connection_and_leaves_nothing(tmp_path: Path) -> None:
    talk = Talk(tmp_path)
    talk.hear()
    assert len(list((tmp_path / "runs").iterdir())) == 1
    talk.end()
    assert list((tmp_path / "runs").iterdir()) == []
    assert (tmp_path / "objects").is_dir()
