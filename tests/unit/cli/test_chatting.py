"""The options of `chat`."""

from pathlib import Path

import pytest

from deployopt.cli.chatting import read_system
from deployopt.core.errors import UsageError


def test_a_system_prompt_is_given_or_lies_in_a_file(tmp_path: Path) -> None:
    assert read_system("Be kind.") == "Be kind."
    (tmp_path / "s.txt").write_bytes("\ufeffBe\nkind 你.\n".encode())
    assert read_system(f"@{tmp_path}/s.txt") == "Be\nkind 你."


@pytest.mark.parametrize(
    ("data", "said"),
    [(None, "cannot be read"), (b"\xff", "not UTF-8"), (b"x" * (2**20 + 1), "larger than 1 MiB")],
)
def test_a_file_that_holds_none(tmp_path: Path, data: bytes | None, said: str) -> None:
    if data is not None:
        (tmp_path / "s.txt").write_bytes(data)
    with pytest.raises(UsageError, match=said):
        read_system(f"@{tmp_path}/s.txt")
