"""A result is taken when the bundle at its place says the same."""

from pathlib import Path

import msgspec
import pytest

from deployopt.core.codec import encode_pretty
from deployopt.core.matrix import CellRequest, CellResult, Word
from deployopt.core.verdict import Outcome, Verdict
from deployopt.pipeline.matrix.checking import checked
from deployopt.store.publishing import publish_bundle
from deployopt.store.verifying import verify_bundle
from tests.fakes.bundles import manifest_of
from tests.fakes.cells import cell, result_of

ACCEPTED = Verdict(
    target="rpi4", artifact="0" * 64, outcome=Outcome.ACCEPTED, provisional=False, checks=()
)


@pytest.fixture
def asked(tmp_path: Path) -> CellRequest:
    return cell(store=tmp_path / "store")


@pytest.fixture
def given(asked: CellRequest, tmp_path: Path) -> CellResult:
    """What came of it, with its bundle."""
    sources = {"model.onnx": b"model", "verdict.json": encode_pretty(ACCEPTED)}
    for name, data in sources.items():
        (tmp_path / name).write_bytes(data)
    files = {name: tmp_path / name for name in sources}
    publish_bundle(files, manifest_of(files), tmp_path / asked.name.id)
    digest = verify_bundle(tmp_path / asked.name.id).bundle_digest
    return result_of(asked, verdict=ACCEPTED, bundle=asked.name.id, bundle_digest=digest)


def test_one_that_agrees_is_taken_as_it_is(
    asked: CellRequest, given: CellResult, tmp_path: Path
) -> None:
    assert checked(asked, given, tmp_path) is given


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"verdict": msgspec.structs.replace(ACCEPTED, reasons=("r",))}, "another verdict than"),
        ({"verdict": None}, "has no verdict"),
        ({"verdict": msgspec.structs.replace(ACCEPTED, target="rpi5")}, "is of target rpi5"),
        ({"word": Word.PROVISIONAL}, "another word than its verdict"),
        ({"exit_code": 3}, "another word than its verdict"),
        ({"bundle": None, "page": "verdict.json", "bundle_digest": None}, "has no bundle"),
        ({"bundle": "../a-rpi4"}, "which is not at its place"),
        ({"bundle_digest": "1" * 64}, "names a bundle that is not the one at"),
        ({"key": "f" * 64}, "is that of another cell"),
        (
            {"error": "e", "word": Word.FAILED, "exit_code": 99, "verdict": None, "bundle": None},
            "is an error that says failed with exit code 99",
        ),
        (
            {"error": "e", "word": Word.REJECTED, "exit_code": 5, "verdict": None, "bundle": None},
            "is an error that says rejected with exit code 5",
        ),
        (
            {"verdict": None, "bundle": None, "page": "verdict.json", "exit_code": 99},
            "has no verdict",
        ),
    ],
)
def test_one_that_does_not_is_refused(
    asked: CellRequest, given: CellResult, tmp_path: Path, changed: dict[str, object], said: str
) -> None:
    forged = msgspec.structs.replace(given, node="n", **changed)
    found = checked(asked, forged, tmp_path)
    assert (found.word, found.exit_code, found.node) == (Word.FAILED, 4, "n")
    assert said in (found.error or "")


def test_a_byte_of_the_bundle_that_was_changed_is_seen(
    asked: CellRequest, given: CellResult, tmp_path: Path
) -> None:
    (tmp_path / asked.name.id / "model.onnx").write_bytes(b"mOdel")
    assert checked(asked, given, tmp_path).exit_code == 4
