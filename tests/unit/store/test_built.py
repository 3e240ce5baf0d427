"""Native code is given back as this store put it, or not at all."""

import shutil
from pathlib import Path

import pytest

from deployopt.store.built import keep_built, read_built

NAME = "a" * 64


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With one thing in it."""
    keep_built(tmp_path / "engines", NAME, b"its record", b"native code")
    return tmp_path / "engines"


def path_in(folder: Path) -> Path:
    return folder / f"{NAME}.built"


def test_what_was_put_comes_back(folder: Path) -> None:
    assert read_built(folder, NAME, b"its record") == b"native code"
    keep_built(folder, NAME, b"its record", b"newer")
    assert read_built(folder, NAME, b"its record") == b"newer"
    assert (folder / "own.key").stat().st_mode & 0o777 == 0o600


def test_nothing_is_there(tmp_path: Path) -> None:
    assert read_built(tmp_path / "none", NAME, b"") is None


def test_another_record_is_not_answered(folder: Path) -> None:
    assert read_built(folder, NAME, b"another record") is None
    assert not path_in(folder).exists()


@pytest.mark.parametrize("at", [0, 64, 65, -1])
def test_a_byte_that_changed(folder: Path, at: int) -> None:
    data = bytearray(path_in(folder).read_bytes())
    data[at] ^= 1
    path_in(folder).write_bytes(bytes(data))
    assert read_built(folder, NAME, b"its record") is None
    assert not path_in(folder).exists()


def test_another_name(folder: Path) -> None:
    other = "b" * 64
    path_in(folder).rename(folder / f"{other}.built")
    assert read_built(folder, other, b"its record") is None


def test_what_another_store_built_is_none_of_ours(folder: Path, tmp_path: Path) -> None:
    keep_built(tmp_path / "other", NAME, b"its record", b"native code")
    shutil.copyfile(tmp_path / "other" / f"{NAME}.built", path_in(folder))
    assert read_built(folder, NAME, b"its record") is None


def test_a_key_that_others_could_have_read_or_put_is_no_key(folder: Path) -> None:
    (folder / "own.key").chmod(0o640)
    assert read_built(folder, NAME, b"its record") is None
    keep_built(folder, NAME, b"its record", b"built anew")
    assert read_built(folder, NAME, b"its record") == b"built anew"


def test_a_link_is_not_followed(folder: Path, tmp_path: Path) -> None:
    path_in(folder).rename(tmp_path / "elsewhere")
    path_in(folder).symlink_to(tmp_path / "elsewhere")
    assert read_built(folder, NAME, b"its record") is None
    assert not path_in(folder).is_symlink()
    assert (tmp_path / "elsewhere").exists()
