"""sign and verify as a person runs them: the paragraphs, the exit codes, what stays as it was."""

import hashlib
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from deployopt.store.paths import MANIFEST, SEAL
from deployopt.store.releases import Kept, Releases, Subject
from deployopt.store.verifying import verify_bundle
from tests.functional.conftest import Done, Invoke, check_schema, child_environment, outside

pytest.importorskip("model_signing")


@pytest.fixture(scope="module")
def place(invoke: Invoke, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two pairs of keys."""
    folder = tmp_path_factory.mktemp("signing")
    for name in ("K", "L"):
        assert invoke("sign", "--new-key", folder / name).code == 0
    return folder


@pytest.fixture(scope="module")
def signing(invoke: Invoke, mlp_bundle: Path, place: Path) -> Done:
    """A copy of the bundle, signed; JSON on stdout."""
    bundle = shutil.copytree(mlp_bundle, place / "bundle")
    return invoke("sign", bundle, "--key", place / "K", "--store", place / "signers", "--json")


@pytest.fixture
def signed(signing: Done, tmp_path: Path) -> Path:
    """A copy of the signed bundle to do things to."""
    return shutil.copytree(signing.json["bundle"], tmp_path / "bundle")


@pytest.fixture
def verify(invoke: Invoke, place: Path, tmp_path: Path) -> Callable[..., Done]:
    """The command, with K.pub unless told otherwise."""

    def run(bundle: Path, *words: object, key: str | None = "K.pub") -> Done:
        keyed = [] if key is None else ["--key", place / key]
        return invoke("verify", bundle, *keyed, "--store", tmp_path / "store", *words)

    return run


def test_signing_says_what_it_did(signing: Done, place: Path) -> None:
    check_schema("sign-result", signing.json)
    assert signing.code == 0
    assert signing.json["release_seq"] == 1
    assert signing.json["key"] == hashlib.sha256((place / "K.pub").read_bytes()).hexdigest()
    assert f"deployopt verify {place / 'bundle'} --key {place / 'K.pub'}" in signing.err
    assert max(len(line) for line in signing.err.splitlines() if "deployopt" not in line) <= 80
    verify_bundle(place / "bundle")


@pytest.mark.slow
def test_a_signed_bundle_is_verified_twice(verify: Callable[..., Done], signed: Path) -> None:
    before = len(list((signed / "verifications").glob("*.json")))  # of whoever built it
    for number in (before + 1, before + 2):
        done = verify(signed, "--json")
        assert done.code in {0, 3}, done.err
        check_schema("verify-result", done.json)
        found = done.json["authenticity"]
        assert (found["trust"], found["signed"], found["release_seq"]) == ("verified", True, 1)
        assert "Signature  VERIFIED: signed with the key " in done.err
        assert done.json["written"].endswith(f"verifications/{number:03d}.json")


@pytest.mark.slow
def test_without_a_key_it_is_called_unverified(
    verify: Callable[..., Done], signed: Path, tmp_path: Path
) -> None:
    told = tmp_path / "told.md"
    done = verify(signed, "--json", "--markdown", told, key=None)
    assert done.code in {0, 3}, done.err
    assert done.json["authenticity"]["trust"] == "unverified"
    assert "Signature  UNVERIFIED: the bundle is signed, and nobody checked by whom" in done.err
    assert "UNVERIFIED" in told.read_text()
    shutil.rmtree(signed / "signature")
    done = verify(signed, "--json", key=None)
    assert done.json["authenticity"] | {"says": ""} == {
        "trust": "unverified", "says": "", "signed": False, "key": None, "release_seq": None,
        "previous_seq": None,
    }  # fmt: skip
    assert "Signature  UNVERIFIED: the bundle is not signed" in done.err


def test_an_older_release_is_refused(
    verify: Callable[..., Done], signing: Done, signed: Path, tmp_path: Path
) -> None:
    name, digest = signing.json["name"], "0" * 64
    Releases(tmp_path / "store").keep(
        Subject(name=name, key=signing.json["key"]),
        Kept(name=name, release_seq=7, bundle_digest=digest),
    )
    done = verify(signed)
    assert done.code == 4
    assert f"is release 1 of {name}, and release 7 was accepted here before" in done.paragraph
    assert "--allow-rollback" in done.paragraph
    assert not (signed / "verifications").exists()


@pytest.mark.slow
def test_an_older_release_is_taken_where_that_is_asked_for(
    verify: Callable[..., Done], signing: Done, signed: Path, tmp_path: Path
) -> None:
    subject = Subject(name=signing.json["name"], key=signing.json["key"])
    kept = Kept(name=subject.name, release_seq=7, bundle_digest="0" * 64)
    Releases(tmp_path / "store").keep(subject, kept)
    done = verify(signed, "--allow-rollback", "--json")
    assert done.code in {0, 3}, done.err
    assert done.json["authenticity"]["previous_seq"] == 7
    last = Releases(tmp_path / "store").last(subject)
    assert last is not None
    assert last.release_seq == (1 if done.code == 0 else 7)


def test_one_flipped_byte_is_listed(verify: Callable[..., Done], signed: Path) -> None:
    model = signed / "model" / "model.onnx"
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 1
    model.write_bytes(data)
    for key in ("K.pub", None):
        done = verify(signed, key=key)
        assert done.code == 4
        assert "'model/model.onnx' has other bytes" in done.paragraph
        assert "Traceback" not in done.err


def test_a_signature_that_was_touched_is_refused(verify: Callable[..., Done], signed: Path) -> None:
    path = signed / "signature" / "model.sig"
    data = path.read_bytes()
    assert b'"sig": "M' in data
    path.write_bytes(data.replace(b'"sig": "M', b'"sig": "N'))
    done = verify(signed)
    assert done.code == 4


def test_the_wrong_key_no_key_and_no_signature(
    verify: Callable[..., Done], signed: Path, mlp_bundle: Path
) -> None:
    for bundle, key, code, says in (
        (signed, "L.pub", 4, "was not signed with the key"),
        (signed, "K", 2, "is a private key"),
        (signed, "absent", 2, "cannot be read"),
        (mlp_bundle, "K.pub", 4, "is not signed, and --key asks"),
    ):
        done = verify(bundle, key=key)
        assert (done.code, says in done.paragraph) == (code, True), done.err
        assert not (bundle / "verifications").exists()


@pytest.mark.parametrize("command", ["run", "chat"])
def test_who_answers_with_a_bundle_may_ask_for_a_key_too(
    command: str, invoke: Invoke, signing: Done, signed: Path, place: Path, tmp_path: Path
) -> None:
    where = ("--store", tmp_path / "store")
    asked = invoke(command, signed, "--key", place / "K.pub", *where)
    assert asked.code == 2  # nothing to predict, no language model: the key holds
    refused = invoke(command, signed, "--key", place / "L.pub", *where)
    assert (refused.code, "was not signed with the key" in refused.paragraph) == (4, True)
    subject = Subject(name=signing.json["name"], key=signing.json["key"])
    newer = Kept(name=subject.name, release_seq=7, bundle_digest="0" * 64)
    Releases(tmp_path / "store").keep(subject, newer)
    older = invoke(command, signed, "--key", place / "K.pub", *where)
    assert (older.code, "release 7 was accepted here before" in older.paragraph) == (4, True)


def test_a_device_elsewhere_is_not_called_for_a_bundle_that_is_refused(
    verify: Callable[..., Done], signed: Path
) -> None:
    nobody = ("--device", "ssh://nobody@127.0.0.1:1")
    assert "was not signed with the key" in verify(signed, *nobody, key="L.pub").paragraph
    (signed / ".git").mkdir()
    assert verify(signed, *nobody).code == 4


def relist(bundle: Path, name: str, data: bytes) -> None:
    """Put a file in, list it, and seal the list again, as somebody who knows the format would."""
    (bundle / name).write_bytes(data)
    manifest = json.loads((bundle / MANIFEST).read_bytes())
    entry = {
        "path": name,
        "size_bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    kept = [file for file in manifest["files"] if file["path"] != name]
    manifest["files"] = sorted([*kept, entry], key=lambda file: file["path"])
    whole = json.dumps(manifest).encode()
    (bundle / MANIFEST).write_bytes(whole)
    (bundle / SEAL).write_text(f"{hashlib.sha256(whole).hexdigest()}  {MANIFEST}\n")


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("model/extra.bin", b"\x7fELF\x02\x01\x01" + bytes(64), "a program or library (ELF)"),
        ("labels.json", b"\x80\x04\x95\x01\x00\x00\x00\x00\x00\x00\x00).", "a pickle"),
    ],
)
def test_a_program_or_pickle_is_refused_though_it_is_listed(
    invoke: Invoke, mlp_bundle: Path, tmp_path: Path, name: str, data: bytes, says: str
) -> None:
    bundle = shutil.copytree(mlp_bundle, tmp_path / "bundle")
    relist(bundle, name, data)
    for command in (("verify",), ("run",), ("sign", "--new-key", tmp_path / "K")):
        first, *rest = command
        done = invoke(first, bundle, *rest)
        assert done.code == 4, done.err
        assert f"'{name}' is {says}" in done.err


def test_a_listed_file_more_is_refused_with_a_key(
    verify: Callable[..., Done], signed: Path
) -> None:
    relist(signed, "extra.json", b"{}")
    done = verify(signed)
    assert done.code == 4
    assert "'extra.json' is missing in the signature" in done.err
    assert "'manifest.json' is not the file that was signed" in done.err


def test_without_the_extra_a_key_is_an_error(signed: Path, place: Path, tmp_path: Path) -> None:
    """A Python in which the extra cannot be imported."""
    hiding = tmp_path / "hiding"
    for name in ("model_signing", "cryptography"):
        (hiding / name).mkdir(parents=True)
        (hiding / name / "__init__.py").write_text("raise ImportError('hidden')\n")
    path = f"{hiding}:{child_environment()['PYTHONPATH']}"
    words = (sys.executable, "-m", "deployopt", "verify", signed, "--key", place / "K.pub")
    done = outside(words, tmp_path, {"PYTHONPATH": path})
    assert done.code == 2
    assert "pip install 'deployopt[sign]'" in done.paragraph
    assert not (signed / "verifications").exists()


def test_wrong_words_are_told(invoke: Invoke, place: Path, mlp_bundle: Path) -> None:
    for words, says in (
        ((), "--new-key K"),
        (("--key", place / "K"), "No bundle was given"),
        ((mlp_bundle,), "--key K"),
        ((mlp_bundle, "--key", place / "K", "--new-key", place / "M"), "or make one"),
        ((mlp_bundle, "--new-key", mlp_bundle / "M"), "inside the bundle"),
        ((place / "absent", "--key", place / "K"), "There is nothing"),
    ):
        done = invoke("sign", *words)
        assert (done.code, says in done.paragraph) == (2, True), done.err
    assert not (place / "M").exists()
