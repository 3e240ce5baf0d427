"""The signing library as we ask it: strictly; and as it is by itself, for what it would let in."""

import base64
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("model_signing")

from model_signing import hashing, signing, verifying

from deployopt.core.codec import encode_pretty
from deployopt.core.errors import IntegrityError
from deployopt.signing.covering import covered_names
from deployopt.signing.keys import checked_public
from deployopt.signing.oms import check_signature, sign_files
from deployopt.store.paths import SIGNATURE, SIGNED
from deployopt.store.verifying import verify_bundle
from tests.unit.signing.conftest import Check

Configure = Callable[[hashing.Config], object]


def signature(bundle: Path) -> Path:
    return bundle / SIGNATURE / SIGNED


def sign_otherwise(bundle: Path, key: Path, configure: Configure) -> None:
    """The right key signs everything, with the library's own settings."""
    signature(bundle).unlink()
    config = hashing.Config()
    configure(config)
    signer = signing.Config().set_hashing_config(config)
    signer.use_elliptic_key_signer(private_key=key).sign(bundle, signature(bundle))
    signature(bundle).write_bytes(encode_pretty(json.loads(signature(bundle).read_bytes())))


def test_the_library_by_itself_takes_our_signature(signed: Path, keys: Path) -> None:
    strict = hashing.Config().set_ignored_paths(
        paths=[f"{SIGNATURE}/{SIGNED}"], ignore_git_paths=False
    )
    checker = verifying.Config().set_hashing_config(strict)
    checker.use_elliptic_key_verifier(public_key=keys / "K.pub").verify(signed, signature(signed))
    (signed / "planted").write_bytes(b"")
    with pytest.raises(ValueError, match="planted"):
        checker.verify(signed, signature(signed))


def test_the_library_by_itself_would_take_what_is_planted_under_git(
    signed: Path, keys: Path, check: Check
) -> None:
    """Why its settings are not left to it."""
    sign_otherwise(signed, keys / "K", lambda config: config)
    (signed / ".git").mkdir()
    (signed / ".git" / "planted").write_bytes(b"\x7fELF")
    verifying.Config().use_elliptic_key_verifier(public_key=keys / "K.pub").set_hashing_config(
        hashing.Config().set_ignored_paths(paths=[f"{SIGNATURE}/{SIGNED}"])
    ).verify(signed, signature(signed))
    with pytest.raises(IntegrityError, match=r"'\.git/planted' is not listed"):
        check(signed)
    shutil.rmtree(signed / ".git")
    with pytest.raises(IntegrityError, match="leaves 4 paths out"):
        check(signed)


OTHER_SETTINGS: dict[str, tuple[Configure, str]] = {
    "defaults": (lambda c: c, "paths out"),
    "a list": (
        lambda c: c.set_ignored_paths(paths=["labels.json"], ignore_git_paths=False),
        r"leaves 1 paths out, 'labels\.json' for one",
    ),
    "blake3": (
        lambda c: c.use_file_serialization(hashing_algorithm="blake3").set_ignored_paths(
            paths=[], ignore_git_paths=False
        ),
        "blake3",
    ),
    "shards": (
        lambda c: c.use_shard_serialization().set_ignored_paths(paths=[], ignore_git_paths=False),
        "shard",
    ),
    "links": (
        lambda c: c.set_allow_symlinks(True).set_ignored_paths(paths=[], ignore_git_paths=False),
        "symbolic links",
    ),
}


@pytest.mark.parametrize("name", OTHER_SETTINGS)
def test_the_right_key_over_other_settings_is_refused(
    signed: Path, keys: Path, check: Check, name: str
) -> None:
    configure, says = OTHER_SETTINGS[name]
    sign_otherwise(signed, keys / "K", configure)
    with pytest.raises(IntegrityError, match=says):
        check(signed)


def test_a_list_of_ignored_paths_is_refused_by_what_is_asked_of_the_library_too(
    signed: Path, keys: Path, tmp_path: Path
) -> None:
    """Should the reading of the form ever let one through."""
    names = covered_names(verify_bundle(signed))
    sign_otherwise(
        signed,
        keys / "K",
        lambda c: c.set_ignored_paths(paths=["labels.json"], ignore_git_paths=False),
    )
    data = signature(signed).read_bytes()
    with pytest.raises(IntegrityError, match="leaves paths out"):
        check_signature({signed: names}, data, checked_public(keys / "K.pub"), tmp_path)


def test_files_of_several_roots_are_signed_as_one_folder(keys: Path, tmp_path: Path) -> None:
    for name in ("one", "two", "scratch", "again", "third"):
        (tmp_path / name).mkdir()
    (tmp_path / "one" / "a").write_bytes(b"1")
    (tmp_path / "two" / "b").write_bytes(b"2")
    apart = {tmp_path / "one": ["a"], tmp_path / "two": ["b"]}
    public = checked_public(keys / "K.pub")
    data = sign_files(apart, "named", keys / "K", tmp_path / "scratch")
    check_signature(apart, data, public, tmp_path / "again")
    payload = json.loads(base64.b64decode(json.loads(data)["dsseEnvelope"]["payload"]))
    assert payload["subject"][0]["name"] == "named"
    assert payload["predicate"]["serialization"] == {
        "method": "files",
        "hash_type": "sha256",
        "allow_symlinks": False,
    }
    (tmp_path / "two" / "b").write_bytes(b"3")
    with pytest.raises(IntegrityError, match="b"):
        check_signature(apart, data, public, tmp_path / "third")


def change_payload(envelope: dict[str, Any]) -> None:
    payload = base64.b64decode(envelope["dsseEnvelope"]["payload"])
    envelope["dsseEnvelope"]["payload"] = base64.b64encode(payload + b" ").decode()


def change_signature(envelope: dict[str, Any]) -> None:
    data = bytearray(base64.b64decode(envelope["dsseEnvelope"]["signatures"][0]["sig"]))
    data[-1] ^= 1
    envelope["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(data).decode()


@pytest.mark.parametrize("change", [change_payload, change_signature])
def test_a_changed_statement_or_signature_does_not_hold(
    signed: Path, check: Check, change: Callable[[dict[str, Any]], None]
) -> None:
    envelope = json.loads(signature(signed).read_bytes())
    change(envelope)
    signature(signed).write_bytes(encode_pretty(envelope))
    with pytest.raises(
        IntegrityError, match=r"is not what .* vouches for: its signature is not of"
    ):
        check(signed)
