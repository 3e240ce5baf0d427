"""Which release was last: a number that does not go down by itself, and is never lost silently."""

import threading
from pathlib import Path

import pytest

from deployopt.core.errors import IntegrityError, StorageError
from deployopt.store.releases import Kept, Releases, Subject
from deployopt.store.store import Store

SUBJECT = Subject(name="demo-pi", key="a" * 64)


def kept(number: int) -> Kept:
    return Kept(name="demo-pi", release_seq=number, bundle_digest="b" * 64)


def test_what_was_kept_is_read(tmp_path: Path) -> None:
    releases = Releases(tmp_path / "new" / "store")
    assert releases.last(SUBJECT) is None
    releases.keep(SUBJECT, kept(4))
    assert Releases(tmp_path / "new" / "store").last(SUBJECT) == kept(4)


def test_it_goes_down_only_when_asked(tmp_path: Path) -> None:
    releases = Releases(tmp_path)
    releases.keep(SUBJECT, kept(4))
    releases.keep(SUBJECT, kept(3))
    assert releases.last(SUBJECT) == kept(4)
    releases.keep(SUBJECT, kept(3), lower=True)
    assert releases.last(SUBJECT) == kept(3)


@pytest.mark.parametrize(
    "other",
    [
        Subject(name="demo-pi5", key="a" * 64),
        Subject(name="demo-pi", key="c" * 64),
        Subject(name="demo-pi", key="a" * 64, role="signed"),
        Subject(name="demo-pi", key="a" * 64, device="ssh://pi"),
    ],
)
def test_others_are_counted_apart(tmp_path: Path, other: Subject) -> None:
    releases = Releases(tmp_path)
    releases.keep(SUBJECT, kept(4))
    assert releases.last(other) is None


def test_numbers_are_given_once(tmp_path: Path) -> None:
    taken: list[int] = []

    def take() -> None:
        releases = Releases(tmp_path)
        for _ in range(10):
            taken.append(releases.take(SUBJECT, "b" * 64, above=0))  # noqa: PERF401 -- others append too

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(1, 41))
    assert Releases(tmp_path).take(SUBJECT, "b" * 64, above=99) == 100


def test_collecting_garbage_never_takes_them(tmp_path: Path) -> None:
    Releases(tmp_path).keep(SUBJECT, kept(4))
    with Store(tmp_path) as store:
        store.put_record("experience", "0" * 64, b"{}")
        store.gc(everything=True)
    assert Releases(tmp_path).last(SUBJECT) == kept(4)


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "another's", "folder", "link"])
def test_one_that_is_damaged_is_an_error(tmp_path: Path, damage: str) -> None:
    releases = Releases(tmp_path)
    releases.keep(SUBJECT, kept(4))
    path = releases.folder / SUBJECT.digest
    data = path.read_bytes()
    if damage == "flipped":
        path.write_bytes(data.replace(b"4", b"3"))
    elif damage == "cut":
        path.write_bytes(data[:-9])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "another's":
        other = Subject(name="other", key="a" * 64)
        releases.keep(other, kept(1))
        path.write_bytes((releases.folder / other.digest).read_bytes())
    else:
        path.unlink()
        if damage == "folder":
            path.mkdir()
        else:
            path.symlink_to(path)
    with pytest.raises(IntegrityError, match=r"is damaged .* remove that file"):
        releases.last(SUBJECT)
    with pytest.raises(IntegrityError):
        releases.keep(SUBJECT, kept(5))


def test_where_nothing_can_be_written_it_is_said_before(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file")
    with pytest.raises(StorageError):
        Releases(tmp_path / "store").require_writable()
