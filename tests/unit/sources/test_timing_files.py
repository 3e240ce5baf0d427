"""Latencies from a file: what is read, and what is refused with its place."""

import os
from pathlib import Path

import pytest

from deployopt.core.errors import UsageError
from deployopt.sources import timing_files
from deployopt.sources.timing_files import read_latencies


@pytest.mark.parametrize(
    ("text", "figures"),
    [
        ("0.01\n\n  2e-3 \r\n", (0.01, 0.002)),
        ("12.5 ms\n3us\n0.5 s", (0.0125, 3e-6, 0.5)),
        ("[0.01, 2]", (0.01, 2.0)),
        (" \n[\n0.5]\n", (0.5,)),
    ],
)
def test_lines_and_lists(tmp_path: Path, text: str, figures: tuple[float, ...]) -> None:
    (tmp_path / "f").write_text(text)
    assert read_latencies(tmp_path / "f") == pytest.approx(figures)


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (b"", "holds no figures"),
        (b"[]", "holds no figures"),
        (b"0.1\nfast\n", "line 2: 'fast' is no latency"),
        (b"0.1\n-0.2\n", "figure 2 is -0.2"),
        (b"nan", "figure 1 is nan"),
        (b"inf", "figure 1 is inf"),
        (b"0\n", "figure 1 is 0.0"),
        (b"5 MiB\n", "no latency"),
        (b"[0.1, NaN]", "no JSON list"),
        (b"[0.1, null]", "no JSON list"),
        (b'[{"a": 1}]', "no JSON list"),
        (b"[1e999]", "no JSON list"),
        (b"[" * 100_000, "no JSON list"),
        (b"caf\xe9", "not UTF-8 text"),
        (b"\x1b[31m\n", "no latency"),
    ],
)
def test_what_is_refused(tmp_path: Path, data: bytes, part: str) -> None:
    (tmp_path / "f").write_bytes(data)
    with pytest.raises(UsageError) as caught:
        read_latencies(tmp_path / "f")
    assert part in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_what_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("none", "pipe", "."):
        with pytest.raises(UsageError, match="There is no file"):
            read_latencies(tmp_path / name)
    (tmp_path / "large").write_text("0.1\n" * 100)
    monkeypatch.setattr(timing_files, "LARGEST", 100)
    with pytest.raises(UsageError, match="more than"):
        read_latencies(tmp_path / "large")
