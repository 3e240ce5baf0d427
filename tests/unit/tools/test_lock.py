"""The locks hold every dependency within its bounds, by digest, and say nothing of any host."""

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tools import lock

LOCKED = lock.LOCK.read_text("utf-8")


def test_every_dependency_is_locked_within_its_bounds() -> None:
    versions = lock.pinned(LOCKED)
    for name, line in lock.direct().items():
        if name in lock.UNLOCKED:
            assert name not in versions
            continue
        assert versions[name], name
        assert all(Requirement(line).specifier.contains(v) for v in versions[name]), line


@pytest.mark.parametrize("path", [lock.LOCK, lock.BUILD], ids=lambda path: path.name)
def test_every_line_has_a_digest_and_no_place(path: Path) -> None:
    text = path.read_text("utf-8")
    assert not list(lock.bare(text))
    assert not re.search(r"://|--index|--find-links|@ ", text)
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert all(re.match(r"[a-z0-9._-]+==|    --hash=sha256:[0-9a-f]{64}", ln) for ln in lines)


def test_what_builds_is_all_that_hatchling_needs() -> None:
    assert "hatchling" in lock.pinned(lock.BUILD.read_text("utf-8"))
    assert (
        lock.pinned(LOCKED)["hatchling"] == lock.pinned(lock.BUILD.read_text("utf-8"))["hatchling"]
    )


def test_a_missing_dependency_and_a_missing_digest_are_told() -> None:
    first = re.search(r"(?m)^numpy==.*\n(?:    --hash.*\n)+", LOCKED)
    assert first is not None
    without = LOCKED.replace(first[0], "")
    assert list(lock.unlocked(without)) == ["numpy is not in the lock: run python -m tools.lock"]
    undigested = LOCKED.replace(first[0], first[0].splitlines()[0].rstrip(" \\") + "\n")
    assert list(lock.unlocked(undigested)) == ["numpy has no digest"]
    with_torch = LOCKED + "torch==2.13 \\\n    --hash=sha256:" + "0" * 64 + "\n"
    assert list(lock.unlocked(with_torch)) == ["torch must not be in the lock"]


def test_a_check_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert lock.main(["--check"]) == 0
    assert lock.main(["--else"]) == 2
    assert "--require-hashes" in capsys.readouterr().err
