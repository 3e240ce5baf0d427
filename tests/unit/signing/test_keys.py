"""Keys as openssl makes them work; everything else is told what it is."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from deployopt.core.errors import MissingExtraError, UsageError
from deployopt.signing.keys import PASSWORD, checked_public, key_digest, new_pair, public_of
from deployopt.signing.sign import make_key, sign
from tests.fakes.signed import openssl_key
from tests.unit.signing.conftest import Check

pytest.importorskip("model_signing")


def test_a_pair_is_for_its_owner_alone_and_openssl_reads_it(tmp_path: Path) -> None:
    made = make_key(tmp_path / "K")
    assert (tmp_path / "K").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "K.pub").stat().st_mode & 0o777 == 0o644
    assert made.key == hashlib.sha256((tmp_path / "K.pub").read_bytes()).hexdigest()
    told = subprocess.run(
        ["openssl", "ec", "-in", tmp_path / "K", "-pubout"], check=True, capture_output=True
    )
    assert told.stdout == (tmp_path / "K.pub").read_bytes()


def test_a_key_is_never_replaced(tmp_path: Path) -> None:
    make_key(tmp_path / "K")
    before = (tmp_path / "K").read_bytes()
    with pytest.raises(UsageError, match="never replaced"):
        make_key(tmp_path / "K")
    (tmp_path / "M.pub").write_text("a file")
    with pytest.raises(UsageError, match="never replaced"):
        make_key(tmp_path / "M")
    (tmp_path / "N").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="never replaced"):
        make_key(tmp_path / "N")
    with pytest.raises(UsageError, match="no folder"):
        make_key(tmp_path / "absent" / "K")
    assert (tmp_path / "K").read_bytes() == before
    assert not (tmp_path / "M").exists()


@pytest.mark.parametrize("curve", ["prime256v1", "secp384r1", "secp521r1"])
def test_openssl_keys_sign(bundle: Path, tmp_path: Path, check: Check, curve: str) -> None:
    key = openssl_key(tmp_path / "key", "ecparam", "-name", curve, "-genkey")
    public = openssl_key(tmp_path / "key.pub", "ec", "-in", str(key), "-pubout")
    sign(bundle, key, store=tmp_path / "store")
    assert check(bundle, public).key == hashlib.sha256(public.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["genrsa", "2048"], "no key on one of the curves"),
        (["genpkey", "-algorithm", "ed25519"], "no key on one of the curves"),
        (["ecparam", "-name", "secp256k1", "-genkey"], "no key on one of the curves"),
    ],
)
def test_keys_of_another_kind_are_refused(tmp_path: Path, words: list[str], says: str) -> None:
    tool, *rest = words
    path = tmp_path / "key"
    last = [rest.pop()] if tool == "genrsa" else []
    subprocess.run(["openssl", tool, *rest, "-out", path, *last], check=True, capture_output=True)
    with pytest.raises(UsageError, match=says):
        public_of(path)
    public = openssl_key(tmp_path / "public", "pkey", "-in", str(path), "-pubout")
    with pytest.raises(UsageError, match=says):
        checked_public(public)


@pytest.mark.parametrize(
    "data", [b"", b"text", b"-----BEGIN PRIVATE KEY-----\nAAAA\n", b"\xff" * 99]
)
def test_what_is_no_key_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=r"private key"):
        public_of(path)
    with pytest.raises(UsageError, match=r"public key|is a private key"):
        checked_public(path)


def test_no_file_a_folder_and_a_large_file_are_no_keys(tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(b" " * 2**17)
    for path, says in (
        (tmp_path / "absent", "cannot be read"),
        (tmp_path, "no file"),
        (large, "no"),
    ):
        with pytest.raises(UsageError, match=says):
            public_of(path)
        with pytest.raises(UsageError, match=says):
            checked_public(path)


def test_one_key_in_the_place_of_the_other(keys: Path) -> None:
    with pytest.raises(UsageError, match="is a public key"):
        public_of(keys / "K.pub")
    with pytest.raises(UsageError, match=r"is a private key.*K\.pub"):
        checked_public(keys / "K")


def test_an_encrypted_key_takes_its_password_from_the_environment(
    bundle: Path, keys: Path, tmp_path: Path, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["ec", "-in", str(keys / "K"), "-aes256", "-passout", "pass:right"]
    key = openssl_key(tmp_path / "locked", *words)
    with pytest.raises(UsageError, match=f"is encrypted.*{PASSWORD}"):
        public_of(key)
    monkeypatch.setenv(PASSWORD, "wrong")
    with pytest.raises(UsageError, match="is not its password"):
        public_of(key)
    with pytest.raises(UsageError, match="is not encrypted"):
        public_of(keys / "K")
    monkeypatch.setenv(PASSWORD, "right")
    sign(bundle, key, store=tmp_path / "store")
    assert check(bundle).key is not None


def test_without_the_extra_the_command_to_install_it_is_told(
    keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    for name in [n for n in sys.modules if n.startswith("cryptography")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    for call in (new_pair, lambda: public_of(keys / "K"), lambda: checked_public(keys / "K.pub")):
        with pytest.raises(MissingExtraError, match=r"pip install 'deployopt\[sign\]'") as caught:
            call()
        assert caught.value.exit_code == 2


def test_a_key_is_known_by_its_files_digest(keys: Path) -> None:
    assert key_digest(checked_public(keys / "K.pub")) == key_digest(public_of(keys / "K"))
