"""Small TOML files are read whole, and what cannot be one is refused."""

from pathlib import Path

import pytest

from deployopt.core.codec import TOML_MAX
from deployopt.core.errors import UsageError
from deployopt.planning.toml_files import toml_bytes


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(b'name = "a"\n' * 3)
    assert toml_bytes(path, "target file") == b'name = "a"\n' * 3


def test_what_is_not_there_is_told_with_the_hint(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"The price file .*a\.toml does not exist\.$"):
        toml_bytes(tmp_path / "a.toml", "price file")
    with pytest.raises(UsageError, match=r"does not exist\. Look there\.$"):
        toml_bytes(tmp_path / "a.toml", "price file", "Look there.")


def test_what_is_no_file_or_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is not a file. A target file is a TOML file\."):
        toml_bytes(tmp_path, "target file")
    path = tmp_path / "a.toml"
    path.write_bytes(b"#" * (TOML_MAX + 1))
    with pytest.raises(UsageError, match=f"has {TOML_MAX + 1} bytes; a target file has at most"):
        toml_bytes(path, "target file")


def test_a_name_that_cannot_be_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        toml_bytes(Path("a\0.toml"), "target file")
