"""Signatures that model-signing's own project keeps as test vectors, through our wrapper.

`tests/assets/oms` holds two from `scripts/tests` of github.com/sigstore/model-transparency
(Apache-2.0): made with releases 1.0.1 and 1.1.0, by the key beside them, of two files that each
hold their name.
"""

from pathlib import Path
from typing import Final

import pytest

pytest.importorskip("model_signing")

from model_signing import hashing, verifying

from deployopt.core.errors import IntegrityError
from deployopt.signing.envelope import read_envelope
from deployopt.signing.oms import check_signature

VECTORS: Final = Path(__file__).parents[2] / "assets" / "oms"
KEY: Final = VECTORS / "key.pub"
CONTENTS: Final = {"signme-1": "signme-1\n", "signme-2": "signme-2"}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """What was signed."""
    folder = tmp_path / "model"
    folder.mkdir()
    for name, text in CONTENTS.items():
        (folder / name).write_text(text, encoding="ascii")
    return folder


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def check(model: Path, vector: str, scratch: Path, key: bytes | None = None) -> None:
    signature = (VECTORS / f"{vector}.sig").read_bytes()
    check_signature({model: sorted(CONTENTS)}, signature, key or KEY.read_bytes(), scratch)


def test_the_vector_of_1_0_1_holds(model: Path, scratch: Path) -> None:
    check(model, "v1.0.1", scratch)


@pytest.mark.parametrize("name", sorted(CONTENTS))
def test_it_holds_of_no_other_bytes(name: str, model: Path, scratch: Path) -> None:
    (model / name).write_bytes((model / name).read_bytes() + b" ")
    with pytest.raises(IntegrityError, match=name):
        check(model, "v1.0.1", scratch)


def test_it_holds_of_no_other_files(model: Path, scratch: Path) -> None:
    signature = (VECTORS / "v1.0.1.sig").read_bytes()
    (model / "planted").write_bytes(b"")
    with pytest.raises(IntegrityError, match="planted"):
        check_signature(
            {model: [*sorted(CONTENTS), "planted"]}, signature, KEY.read_bytes(), scratch
        )


def test_it_is_of_no_other_key(model: Path, scratch: Path, keys: Path) -> None:
    with pytest.raises(IntegrityError, match="not of that key"):
        check(model, "v1.0.1", scratch, (keys / "K.pub").read_bytes())


def test_the_vector_of_1_1_0_leaves_paths_out_and_is_refused_for_that_alone(
    model: Path, scratch: Path
) -> None:
    """The library by itself takes it, and whatever lies under the paths that it leaves out."""
    (model / ".git").mkdir()
    (model / ".git" / "planted").write_bytes(b"\x7fELF")
    path = VECTORS / "v1.1.0.sig"
    by_itself = verifying.Config().set_hashing_config(hashing.Config())
    by_itself.use_elliptic_key_verifier(public_key=KEY).verify(model, path)
    with pytest.raises(IntegrityError, match="leaves paths out"):
        check(model, "v1.1.0", scratch)


@pytest.mark.parametrize("vector", ["v1.0.1", "v1.1.0"])
def test_a_bundle_signed_in_another_writing_is_refused_by_its_form(vector: str) -> None:
    with pytest.raises(IntegrityError):
        read_envelope((VECTORS / f"{vector}.sig").read_bytes(), "model.sig")
