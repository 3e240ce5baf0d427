"""Two folders change places, or the system says that it cannot."""

import ctypes
from pathlib import Path

import pytest

from deployopt.store.exchanging import exchange


def test_two_folders_change_places(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "which").write_text(name)
    if not exchange(tmp_path / "a", tmp_path / "b"):
        pytest.skip("this file system cannot exchange")
    assert (tmp_path / "a/which").read_text() == "b"
    assert (tmp_path / "b/which").read_text() == "a"


def test_a_missing_side_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(FileNotFoundError):
        exchange(tmp_path / "a", tmp_path / "b")


def test_a_c_library_without_the_call_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: object())
    assert exchange(tmp_path / "a", tmp_path / "b") is False
