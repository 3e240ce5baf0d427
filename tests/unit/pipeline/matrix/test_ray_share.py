"""A bundle goes from a node to the driver whole, as it was listed, or the cell has failed."""

from pathlib import Path

import msgspec
import pytest

from deployopt.core.bundle import FileEntry
from deployopt.core.errors import IntegrityError, UsageError
from deployopt.core.matrix import CellRequest, CellResult, Word
from deployopt.pipeline.matrix.child import Start
from deployopt.pipeline.matrix.ray_share import (
    bring_result,
    check_in_share,
    own_folders,
    seen_in_share,
    send_result,
)
from deployopt.pipeline.matrix.ray_words import Job
from deployopt.store.layout import HOME
from deployopt.store.publishing import publish_bundle
from deployopt.store.verifying import verify_bundle
from tests.fakes.bundles import manifest_of
from tests.fakes.cells import cell, result_of

pytest.importorskip("fsspec")
BUNDLE = "a-rpi4.undecided"


@pytest.fixture
def share(tmp_path: Path) -> str:
    (tmp_path / "share").mkdir()
    return str(tmp_path / "share")


@pytest.fixture
def driver(tmp_path: Path) -> CellRequest:
    (tmp_path / "out").mkdir()
    return cell(store=tmp_path / "store")


@pytest.fixture
def node(tmp_path: Path, driver: CellRequest) -> CellRequest:
    """The same, with a bundle where the node has built it."""
    sources = tmp_path / "sources"
    sources.mkdir()
    files = {"model.onnx": sources / "m", "inner/verdict.json": sources / "v"}
    for path in files.values():
        path.write_text(path.name)
    publish_bundle(files, manifest_of(files), tmp_path / "node" / BUNDLE)
    return msgspec.structs.replace(driver, output=str(tmp_path / "node" / driver.name.id))


def result(request: CellRequest, **named: str) -> CellResult:
    return result_of(request, Word.UNDECIDED, **(named or {"bundle": BUNDLE}))


def refused(found: CellResult | str, said: str) -> None:
    assert isinstance(found, CellResult)
    assert (found.word, found.exit_code) == (Word.FAILED, 4)
    assert said in (found.error or "")


def test_a_bundle_is_the_same_there(
    share: str, node: CellRequest, driver: CellRequest, tmp_path: Path
) -> None:
    files = send_result(share, node, result(node))
    assert bring_result(share, driver, result(driver), files) == result(driver)
    ours, theirs = tmp_path / "out" / BUNDLE, tmp_path / "node" / BUNDLE
    assert verify_bundle(ours) == verify_bundle(theirs)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [BUNDLE]


def test_a_page_is_brought(
    share: str, node: CellRequest, driver: CellRequest, tmp_path: Path
) -> None:
    folder = tmp_path / "rejected"
    folder.mkdir()
    (folder / "a-rpi4.rejected.html").write_text("page")
    node = msgspec.structs.replace(node, output=str(folder / "a-rpi4"))
    named = result(node, page="a-rpi4.rejected.html")
    bring_result(share, driver, named, send_result(share, node, named))
    assert (tmp_path / "out" / "a-rpi4.rejected.html").read_text() == "page"


def test_what_was_altered_is_refused(
    share: str, node: CellRequest, driver: CellRequest, tmp_path: Path
) -> None:
    files = send_result(share, node, result(node))
    there = Path(share) / "files" / next(e.sha256 for e in files if e.path.endswith("model.onnx"))
    there.write_text("M")
    refused(bring_result(share, driver, result(driver), files), "has other bytes")
    there.unlink()
    refused(bring_result(share, driver, result(driver), files), "is not there")
    assert not list((tmp_path / "out").iterdir())


def test_a_forged_listing_is_refused(
    share: str, node: CellRequest, driver: CellRequest, tmp_path: Path
) -> None:
    files = send_result(share, node, result(node))
    fewer = [entry for entry in files if not entry.path.endswith("model.onnx")]
    refused(bring_result(share, driver, result(driver), fewer), "'model.onnx' is missing")
    other = [*files, FileEntry(path="elsewhere", size_bytes=0, sha256="0" * 64)]
    refused(bring_result(share, driver, result(driver), other), "other files than its result")
    out = [msgspec.structs.replace(files[0], path=f"{BUNDLE}/../../x"), *files[1:]]
    refused(bring_result(share, driver, result(driver), out), "is not a normal path")
    assert not list((tmp_path / "out").iterdir())
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("name", ["../secret", "other-rpi4", "a-rpi4.html/x", "/etc"])
def test_no_other_place_is_written(
    share: str, node: CellRequest, driver: CellRequest, tmp_path: Path, name: str
) -> None:
    """Whether such a result holds is judged by what lies at its place."""
    files = send_result(share, node, result(node))
    named = result(driver, bundle=name)
    assert bring_result(share, driver, named, files) is named
    assert not list((tmp_path / "out").iterdir())


def test_a_share_that_is_lost_is_a_sentence(node: CellRequest, driver: CellRequest) -> None:
    found = bring_result("/there/is/nothing", driver, result(driver), ())
    refused(found, "other files than its result")
    files = [FileEntry(path=f"{BUNDLE}/x", size_bytes=0, sha256="0" * 64)]
    said = bring_result("/there/is/nothing", driver, result(driver), files)
    assert isinstance(said, str)
    assert said.startswith("what it put into the share cannot be brought: --share")
    assert node.output != driver.output


def test_a_place_is_the_same_by_what_stands_in_it(share: str, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with check_in_share(share) as files:
        ((name, nonce),) = files.items()
        assert seen_in_share(share, name, answers=True) == nonce
        with pytest.raises(IntegrityError, match="is another place there"):
            seen_in_share(str(tmp_path / "other"), name)
        with pytest.raises(UsageError, match="there is no folder"):
            seen_in_share(str(tmp_path / "nothing"), name)
        (Path(share) / name).write_bytes(bytes(300))
        with pytest.raises(IntegrityError, match="more than the 256"):
            seen_in_share(share, name)
    assert not list((Path(share) / "checks").iterdir())


def test_a_node_has_folders_of_its_own(
    driver: CellRequest, share: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HOME, str(tmp_path / "home"))
    job = Job(cell=driver, start=Start(), shared={}, inputs={}, niceness=0)
    with own_folders(job, tmp_path / "leases") as same:
        assert same is driver
    assert not (tmp_path / "home").exists()
    with own_folders(msgspec.structs.replace(job, share=share), tmp_path / "leases") as own:
        assert own.leases == str(tmp_path / "leases")
        assert own.store == str(tmp_path / "home" / "store-1")
        assert Path(own.output).parent.is_dir()
        assert Path(own.output).is_relative_to(own.store)
        assert (own.name, own.key) == (driver.name, driver.key)
    assert not Path(own.output).parent.exists()
