"""The kernel's small files."""

from pathlib import Path

import psutil

from deployopt.device.readings import peak_rss_bytes, read_number, read_text


def test_a_file_is_read_whole_without_its_trailing_nul(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"Raspberry Pi 4 Model B Rev 1.4\0")
    assert read_text(tmp_path / "model") == "Raspberry Pi 4 Model B Rev 1.4"


def test_what_is_missing_or_no_number_is_none(tmp_path: Path) -> None:
    (tmp_path / "max").write_text("max\n")
    (tmp_path / "two").write_text("2.5\n")
    assert read_text(tmp_path / "none") is None
    assert read_number(tmp_path / "none") is None
    assert read_number(tmp_path / "max") is None
    assert read_number(tmp_path / "two") == 2.5


def test_the_peak_is_at_least_what_is_resident_now() -> None:
    assert peak_rss_bytes() >= psutil.Process().memory_info().rss * 0.9
