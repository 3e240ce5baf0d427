"""What a cell says arrives whole, however it is cut, and nonsense does not."""

import os

from deployopt.pipeline.matrix.messages import (
    LINE_MAX,
    WAITING,
    Hearing,
    Note,
    Share,
    Speaker,
    Stage,
    tell,
)
from tests.fakes.cells import Seen


def said() -> bytes:
    reading, writing = os.pipe()
    speaker = Speaker(writing)
    speaker.stage("Build float", 9)
    speaker.stage("Latency", quiet=True)
    speaker.advance(0.5, "half\n")
    speaker.advance(0.0, WAITING)
    speaker.note("x" * 5000)
    os.close(writing)
    data = os.read(reading, 65536)
    os.close(reading)
    return data


def test_what_is_said_is_heard() -> None:
    data, seen = said(), Seen()
    whole = Hearing().messages(data)
    assert whole[:4] == [
        Stage(name="Build float"),
        Stage(name="Latency", quiet=True),
        Share(share=0.5, words="half "),
        Share(share=0.0, words=WAITING, waits=True),
    ]
    assert isinstance(whole[4], Note)
    assert len(whole[4].text) == 500
    pieces = Hearing()
    found = [one for at in range(len(data)) for one in pieces.messages(data[at : at + 1])]
    assert found == whole
    for message in whole:
        tell("a", message, seen)
    assert [event[0] for event in seen.events] == ["stage", "stage", "advance", "advance", "note"]


def test_nonsense_is_dropped_and_never_kept() -> None:
    hearing = Hearing()
    assert hearing.messages(b'\xff\n{"type":"exec"}\n[1\n' + b'{"type":"note","text":"y"}\n') == [
        Note(text="y")
    ]
    for _ in range(10):
        assert hearing.messages(b"z" * 10**6) == []
    assert len(hearing._begun) <= LINE_MAX
