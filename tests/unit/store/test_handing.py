"""Folders and files for other programs: whole, or not there."""

from pathlib import Path

import pytest

from deployopt.core.errors import IntegrityError, StorageError, UsageError
from deployopt.store import handing
from deployopt.store.digests import file_entry
from deployopt.store.handing import hand_over_file, hand_over_folder


def short(path: Path) -> None:
    path.write_bytes(b"GGUF")


def test_a_folder_is_written_with_copies_and_texts(tmp_path: Path) -> None:
    source = tmp_path / "weights"
    source.write_bytes(b"w" * 5000)
    out = tmp_path / "deep" / "out"
    entries = hand_over_folder({"model/w.bin": source}, {"a.yaml": "x: 1\n"}, out)
    assert [entry.path for entry in entries] == ["a.yaml", "model/w.bin"]
    assert list(entries) == [file_entry(out / entry.path, entry.path) for entry in entries]
    assert {path.name for path in tmp_path.iterdir()} == {"weights", "deep"}
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_folders_may_be_deep_and_a_copy_must_be_what_was_checked(tmp_path: Path) -> None:
    source, out = tmp_path / "w", tmp_path / "out"
    source.write_bytes(b"w")
    right = {"a/b/c/w": file_entry(source, "w").sha256}
    entries = hand_over_folder({"a/b/c/w": source}, {"a/d/e": "f"}, out, digests=right)
    assert [entry.path for entry in entries] == ["a/b/c/w", "a/d/e"]
    assert (out / "a/d/e").read_text() == "f"
    with pytest.raises(IntegrityError, match="a/w changed while it was copied"):
        hand_over_folder({"a/w": source}, {}, tmp_path / "no", digests={"a/w": "0" * 64})
    assert {path.name for path in tmp_path.iterdir()} == {"w", "out"}


def test_a_file_is_written_beside_its_place(tmp_path: Path) -> None:
    out = tmp_path / "m.gguf"
    (entry,) = hand_over_file(short, 4, out)
    assert entry == file_entry(out, "m.gguf")
    assert out.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("there", ["file", "folder", "link"])
def test_what_is_there_stays_as_it_is(tmp_path: Path, there: str) -> None:
    out = tmp_path / "out"
    if there == "file":
        out.write_text("mine")
    elif there == "folder":
        out.mkdir()
    else:
        out.symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="there already"):
        hand_over_folder({}, {"a": "b"}, out)
    with pytest.raises(UsageError, match="there already"):
        hand_over_file(short, 4, out)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_no_room_and_a_failure_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_path: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(StorageError, match="No space left"):
        hand_over_file(fails, 1, tmp_path / "f")
    with pytest.raises(StorageError, match="needs"):
        hand_over_file(fails, 2**60, tmp_path / "f")
    with pytest.raises(StorageError, match="missing"):
        hand_over_folder({"a": tmp_path / "missing"}, {}, tmp_path / "d")
    (tmp_path / "w").write_bytes(b"x")
    monkeypatch.setattr(handing, "copy_new_file", lambda *_paths: fails(tmp_path))
    with pytest.raises(StorageError, match="No space left"):
        hand_over_folder({"a": tmp_path / "w"}, {"b": "c"}, tmp_path / "d")
    assert [path.name for path in tmp_path.iterdir()] == ["w"]


def test_names_stay_inside(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no name for a file"):
        hand_over_folder({}, {"../a": "b"}, tmp_path / "d")
