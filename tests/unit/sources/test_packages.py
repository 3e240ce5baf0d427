"""A pinned file is fetched with pip, and another one is refused."""

import hashlib
import zipfile
from pathlib import Path

import msgspec
import pytest

from deployopt.core.errors import IntegrityError, SourceError
from deployopt.sources.packages import WHEEL, Package, check_sha256, fetch_package


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    """A wheel in a folder that pip looks in."""
    info = "tiny_words-1.0.dist-info"
    path = tmp_path / "tiny_words-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        text = "Metadata-Version: 2.1\nName: tiny-words\nVersion: 1.0\n"
        wheel.writestr(f"{info}/METADATA", text)
        tags = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        wheel.writestr(f"{info}/WHEEL", tags)
        wheel.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return Package(
        name="tiny-words",
        version="1.0",
        file_name=path.name,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        licence="none",
        wanted_by="some-alias",
    )


def test_the_pinned_file_is_fetched(tmp_path: Path, package: Package) -> None:
    staging = tmp_path / "staging"
    staging.mkdir()
    found = fetch_package(package, staging, options=WHEEL)
    assert found == staging / package.file_name
    check_sha256(found, package.sha256)


def test_another_file_is_refused_by_the_name_of_who_wanted_it(
    tmp_path: Path, package: Package
) -> None:
    staging = tmp_path / "staging"
    staging.mkdir()
    other = msgspec.structs.replace(package, sha256="0" * 64)
    with pytest.raises(SourceError, match=r"(?s)some-alias needs tiny-words==1\.0.*pip download"):
        fetch_package(other, staging, options=WHEEL)
    assert not (staging / package.file_name).exists()


def test_a_digest_that_differs_is_told(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x")
    with pytest.raises(IntegrityError, match="not the pinned 000"):
        check_sha256(path, "0" * 64)
