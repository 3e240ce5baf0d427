"""What is unpacked and installed on a device."""

import hashlib
import io
import zipfile
from pathlib import Path

import pytest

from deployopt.remote.furnishing import Furnisher, FurnishingError, Wanted, code_folder, unpack_code
from deployopt.store.receiving import Objects


def _zip(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "x = 1\n")
    return path


@pytest.mark.parametrize(
    "name", ["/etc/x.py", "../x.py", "a/../x.py", "a//x.py", "./x.py", "a\\x.py", "a/", "a/.."]
)
def test_names_that_lead_elsewhere_are_refused(name: str, tmp_path: Path) -> None:
    archive = _zip(tmp_path / "a.zip", "deployopt/a.py", name)
    with pytest.raises(FurnishingError, match="a name that is none"):
        unpack_code(archive, tmp_path / "code")
    assert not (tmp_path / "x.py").exists()


def test_a_name_that_comes_twice_is_refused(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        archive = _zip(tmp_path / "a.zip", "a.py", "a.py")
    with pytest.raises(FileExistsError):
        unpack_code(archive, tmp_path / "code")


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.py", bytes(65 * 2**20))
    with pytest.raises(FurnishingError, match="larger than deployopt is"):
        unpack_code(path, tmp_path / "code")


def _wanted(**changes: str) -> Wanted:
    wanted = Wanted(code="c" * 64, archive="", key="", requirements=[], wheels=[], pip="")
    wanted.update(changes)  # type: ignore[typeddict-item]
    return wanted


def _furnisher(root: Path) -> tuple[Furnisher, Objects]:
    objects = Objects(root)
    return Furnisher(root, objects, lambda: None), objects


def _put(objects: Objects, data: bytes) -> str:
    digest = hashlib.sha256(data).hexdigest()
    with objects.receiving(digest, len(data)) as incoming:
        objects.write(incoming, iter([data]), len(data))
    return digest


def test_it_says_what_it_lacks_and_takes_it(tmp_path: Path) -> None:
    furnisher, objects = _furnisher(tmp_path)
    with pytest.raises(FurnishingError) as caught:
        furnisher.furnish(_wanted())
    assert caught.value.kind == "code"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("deployopt/a.py", "")
    digest = _put(objects, buffer.getvalue())
    assert furnisher.furnish(_wanted(archive=digest)) == ""
    assert (code_folder(tmp_path, "c" * 64) / "deployopt/a.py").is_file()
    assert objects.missing([digest]) == [digest]
    assert furnisher.furnish(_wanted()) == ""
    with pytest.raises(FurnishingError) as caught:
        furnisher.furnish(_wanted(key="k"))
    assert caught.value.kind == "empty"


def test_an_install_that_fails_leaves_nothing(tmp_path: Path) -> None:
    furnisher, objects = _furnisher(tmp_path)
    code_folder(tmp_path, "c" * 64).mkdir()
    pip = _put(objects, b"not pip")
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(FurnishingError) as caught:
        furnisher.furnish(_wanted(key="k", pip=pip))
    assert caught.value.kind == "network"
    assert sorted(path.name for path in tmp_path.iterdir()) in (before, sorted([*before, "lock"]))


def test_what_other_versions_left_makes_room_unless_it_is_held(tmp_path: Path) -> None:
    furnisher, objects = _furnisher(tmp_path)
    for name in "abc":
        code_folder(tmp_path, name * 64).mkdir()
    furnisher.furnish(_wanted(code="a" * 64))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("deployopt/a.py", "")
    furnisher.furnish(_wanted(code="d" * 64, archive=_put(objects, buffer.getvalue())))
    left = sorted(path.name[5] for path in tmp_path.glob("code-*"))
    assert left == ["a", "d"]
