"""A folder elsewhere is read in parts and written whole, and each error is one sentence."""

import errno
import os
from pathlib import Path

import pytest

from deployopt.core.errors import MissingExtraError, UsageError
from deployopt.store import share_place
from deployopt.store.share_place import Place, ShareError, open_place, whole_url
from tests.fakes.shares import MISSING, none, s3_server, there_is_s3, wrong_place

pytest.importorskip("fsspec")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return open_place(str(tmp_path))


def test_what_is_put_is_read(place: Place, tmp_path: Path) -> None:
    assert place.read("keys/a", 10) is None
    place.put("keys/a", b"some bytes")
    assert place.read("keys/a", 10) == b"some bytes"
    assert place.size("keys/a") == 10
    place.put("keys/a", b"")
    assert place.read("keys/a", 10) == b""
    source = tmp_path / "source"
    source.write_bytes(b"x" * 3000)
    place.put_file("files/b", source)
    assert b"".join(place.parts("files/b", 3000)) == b"x" * 3000
    assert not list((tmp_path / "incoming").iterdir())
    place.remove("files/b")
    assert place.size("files/b") is None


def test_no_more_is_read_than_asked(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(share_place, "PART_BYTES", 7)
    (tmp_path / "f").write_bytes(bytes(range(40)))
    assert list(map(len, place.parts("f", 20))) == [7, 7, 6]
    assert b"".join(place.parts("f", 100)) == bytes(range(40))
    with pytest.raises(ValueError, match="40 bytes, more than the 39"):
        place.read("f", 39)


def test_links_folders_and_pipes_are_no_files(place: Place, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    assert [place.size(name) for name in ("link", "folder", "pipe", "secret/below")] == [None] * 4


def test_a_write_that_breaks_off_leaves_no_part_of_it(tmp_path: Path) -> None:
    place, faults = wrong_place(tmp_path)
    place.put("keys/a", b"before")
    assert place.read("keys/a", 10) == b"before"
    for operation in ("write", "move"):

        def fault(what: str, path: str, *, operation: str = operation) -> None:
            if what == operation:
                raise OSError(errno.ENOSPC, "No space left on device", path)

        faults[0] = fault
        with pytest.raises(ShareError, match=r"^writing keys/a in wrong://share: No space left"):
            place.put("keys/a", b"after it")
        faults[0] = none
        left = b"before" if operation == "write" else None  # it has to be removed to be replaced
        assert place.read("keys/a", 10) == left
        assert not list((tmp_path / "incoming").iterdir())


def test_errors_of_any_kind_are_one_sentence(tmp_path: Path) -> None:
    place, faults = wrong_place(tmp_path)

    class StrangeError(Exception):
        """As libraries have them."""

    def fault(what: str, path: str) -> None:
        raise StrangeError(f"{what} of {path}\nis \x1b[31m not possible")

    faults[0] = fault
    with pytest.raises(ShareError) as caught:
        place.size("a")
    said = str(caught.value)
    assert said.startswith("looking at a in wrong://share: info of")
    assert said.endswith("not possible.")
    assert "\n" not in said
    assert "\x1b" not in said
    assert caught.value.exit_code == 5


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "name a folder"),
        ("simplecache::s3://a/b", "name a folder"),
        ("zip://a/b", "zip is no place that several can write to"),
        ("s3://user:secret@bucket/x", "a password may not stand in the URL"),
        ("nothing://there", "Protocol not known: nothing"),
        ("/there/is/nothing", "there is no folder /there/is/nothing. Make it, or mount"),
        ("file:///there/is/nothing", "there is no folder"),
        ("http://[broken", "Invalid IPv6 URL"),
        (f"/{'a' * 300}", "File name too long."),
        ("~nobody-here/share", "--share ~nobody-here/share: Could not determine home"),
    ],
)
def test_what_is_no_place_to_share(url: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_place(url)
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(share_place, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'deployopt\[share\]'"):
        open_place(str(tmp_path))


def test_a_path_is_the_same_in_another_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert whole_url("share") == str(tmp_path / "share")
    assert whole_url("s3://a/b") == "s3://a/b"


@pytest.mark.skipif(not there_is_s3(), reason=MISSING)
def test_s3_reads_and_writes_as_a_folder_does(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"y" * 70_000)
    with pytest.MonkeyPatch.context() as patch, s3_server(patch) as url:
        place = open_place(url)
        assert place.read("keys/a", 10) is None
        place.put("keys/a", b"some bytes")
        assert place.read("keys/a", 10) == b"some bytes"
        place.put("keys/a", b"")
        assert place.read("keys/a", 10) == b""
        place.put_file("files/b", source)
        assert place.size("files/b") == 70_000
        assert b"".join(place.parts("files/b", 70_000)) == source.read_bytes()
        nowhere = open_place("s3://there-is-no-such-bucket/x")
        assert nowhere.read("keys/a", 10) is None
        with pytest.raises(ShareError, match="writing keys/a in s3://there-is-no-such-bucket/x"):
            nowhere.put("keys/a", b"x")
