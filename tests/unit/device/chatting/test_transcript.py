"""Transcripts as files."""

from pathlib import Path

import pytest

from deployopt.core.errors import UsageError
from deployopt.core.generation import Ended, Said
from deployopt.device.chatting.transcript import encode_transcript, write_transcript

SAID = (
    Said(conversation=0, role="user", content="你好\n\x1b[31m\u202e"),
    Said(conversation=0, role="assistant", content="Hi", ended=Ended.END, answer_tokens=1),
)


def test_a_message_a_line() -> None:
    assert encode_transcript(SAID).decode() == (
        '{"content":"你好\\n\\u001b[31m\\u202e","conversation":0,"role":"user"}\n'
        '{"answer_tokens":1,"content":"Hi","conversation":0,"ended":"end","role":"assistant"}\n'
    )


def test_it_replaces_a_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "said.jsonl"
    path.write_text("earlier")
    write_transcript(path, SAID)
    assert path.read_bytes() == encode_transcript(SAID)
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(UsageError, match="not a file"):
        write_transcript(Path("/dev/null"), SAID)
