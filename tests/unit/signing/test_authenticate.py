"""Who may be let in: the key that vouches, these very files, no older release."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from deployopt.core.errors import IntegrityError, MissingExtraError, StorageError, UsageError
from deployopt.core.signature import Trust
from deployopt.signing.authenticate import Policy, accept_release, authenticate, require_memory
from deployopt.signing.sign import sign
from deployopt.store.paths import RELEASE, SIGNATURE, SIGNED
from deployopt.store.publishing import add_verification
from deployopt.store.verifying import verify_bundle
from tests.fakes.signed import edit_json, tiny_bundle
from tests.unit.signing.conftest import Check


def accept(bundle: Path, keys: Path, store: Path, *, allow_rollback: bool = False) -> None:
    """What a device does with a bundle that it took."""
    policy = Policy(key=keys / "K.pub", store=store, allow_rollback=allow_rollback)
    manifest = verify_bundle(bundle)
    accept_release(manifest, authenticate(bundle, manifest, policy, store.parent), policy)


def test_a_signed_bundle_is_verified_with_its_key(signed: Path, check: Check) -> None:
    found = check(signed)
    assert found.trust is Trust.VERIFIED
    assert (found.signed, found.release_seq, found.previous_seq) == (True, 3, None)
    assert found.key is not None
    assert found.says == f"signed with the key {found.key[:16]}…, release 3"


def test_without_a_key_nobody_vouches(signed: Path, check: Check) -> None:
    found = check(signed, None)
    assert found.trust is Trust.UNVERIFIED
    assert found.signed
    assert "add --key K.pub" in found.says
    assert found.key is None
    shutil.rmtree(signed / SIGNATURE)
    found = check(signed, None)
    assert (found.trust, found.signed) == (Trust.UNVERIFIED, False)
    assert found.says == "the bundle is not signed"


def test_with_a_key_an_unsigned_bundle_is_refused(bundle: Path, check: Check) -> None:
    with pytest.raises(
        IntegrityError, match=r"is not signed, and --key asks for .*K\.pub"
    ) as caught:
        check(bundle)
    assert caught.value.exit_code == 4


def test_another_key_is_told_apart(signed: Path, keys: Path, check: Check) -> None:
    with pytest.raises(IntegrityError, match=r"was not signed with the key .*L\.pub"):
        check(signed, keys / "L.pub")


def test_another_key_under_the_right_keys_name_is_refused(
    signed: Path, keys: Path, check: Check, tmp_path: Path
) -> None:
    """Somebody signs anew and writes the trusted key's digest into the signature."""
    trusted = json.loads((signed / SIGNATURE / SIGNED).read_bytes())["verificationMaterial"]
    sign(signed, keys / "L", store=tmp_path / "theirs")
    path = signed / SIGNATURE / SIGNED
    text = path.read_text()
    theirs = json.loads(text)["verificationMaterial"]["publicKey"]["hint"]
    path.write_text(text.replace(theirs, trusted["publicKey"]["hint"]))
    with pytest.raises(IntegrityError, match="its signature is not of that key"):
        check(signed)


@pytest.mark.parametrize("key", [Path("/nowhere/K.pub"), Path("/etc/hostname")])
def test_a_key_that_is_none_is_a_wrong_argument(signed: Path, check: Check, key: Path) -> None:
    with pytest.raises(UsageError):
        check(signed, key)


@pytest.mark.parametrize("size", [0, 1, 100, -100, -1])
def test_a_truncated_signature_is_refused(signed: Path, check: Check, size: int) -> None:
    path = signed / SIGNATURE / SIGNED
    path.write_bytes(path.read_bytes()[:size])
    for key in (None, "given"):
        with pytest.raises(IntegrityError, match="is no signature of a bundle"):
            check(signed, None) if key is None else check(signed)


@pytest.mark.parametrize("name", ["model.sig", "release.json", "mlbom.cdx.json"])
def test_a_part_of_a_signature_is_none(signed: Path, check: Check, name: str) -> None:
    (signed / SIGNATURE / name).unlink()
    with pytest.raises(IntegrityError, match=f"'signature/{name}' is missing"):
        check(signed)


def test_the_signature_of_another_bundle_is_refused(
    signed: Path, keys: Path, check: Check, tmp_path: Path
) -> None:
    other = tiny_bundle(tmp_path / "other", model=b"another")
    sign(other, keys / "K", store=tmp_path / "signers")
    shutil.rmtree(signed / SIGNATURE)
    shutil.copytree(other / SIGNATURE, signed / SIGNATURE)
    for key in ({}, {"key": None}):
        with pytest.raises(IntegrityError, match="is not the bundle that was signed") as caught:
            check(signed, **key)
        lines = str(caught.value).splitlines()
        assert "  - 'model/model.onnx' is not the file that was signed" in lines
        assert "  - 'manifest.json' is not the file that was signed" in lines


def test_a_changed_release_or_bill_is_refused_with_and_without_a_key(
    signed: Path, check: Check
) -> None:
    edit_json(signed / SIGNATURE / RELEASE, release_seq=9)
    for key in ({}, {"key": None}):
        with pytest.raises(IntegrityError, match=r"'signature/release\.json' is not the file"):
            check(signed, **key)


def test_what_devices_add_is_not_signed_and_does_not_break_it(signed: Path, check: Check) -> None:
    for name in ("001.json", "002.json"):
        add_verification(signed, name, b"{}")
        assert check(signed).trust is Trust.VERIFIED


def test_an_older_release_is_refused_until_it_is_asked_for(
    signed: Path, keys: Path, check: Check, tmp_path: Path
) -> None:
    device = tmp_path / "device"
    old = shutil.copytree(signed, tmp_path / "old")
    sign(signed, keys / "K", store=tmp_path / "signers")
    assert check(old).release_seq == 3
    accept(signed, keys, device)
    with pytest.raises(IntegrityError, match=r"release 3 of .* release 4 was accepted") as caught:
        check(old)
    text = str(caught.value)
    assert "--allow-rollback" in text
    assert "\n" not in text
    assert check(signed).previous_seq == 4
    found = check(old, allow_rollback=True)
    assert found.says.endswith("release 3, gone back to from 4")
    accept(old, keys, device, allow_rollback=True)
    assert check(old).previous_seq == 3
    assert check(signed).says.endswith("release 4, after 3")


def test_what_was_only_looked_at_is_not_remembered(
    signed: Path, keys: Path, check: Check, tmp_path: Path
) -> None:
    old = shutil.copytree(signed, tmp_path / "old")
    sign(signed, keys / "K", release_seq=50, store=tmp_path / "signers")
    assert check(signed).release_seq == 50
    assert check(old).release_seq == 3
    accept_release(verify_bundle(signed), check(signed, None), Policy(store=tmp_path / "device"))
    assert check(old).previous_seq is None


def test_releases_are_counted_apart_by_key_and_device(
    signed: Path, keys: Path, check: Check, tmp_path: Path
) -> None:
    device = tmp_path / "device"
    accept(signed, keys, device)
    other = shutil.copytree(signed, tmp_path / "other")
    sign(other, keys / "L", release_seq=1, store=tmp_path / "signers")
    assert check(other, keys / "L.pub").previous_seq is None
    elsewhere = Policy(key=keys / "K.pub", store=device, device="ssh://pi")
    found = authenticate(signed, verify_bundle(signed), elsewhere, tmp_path)
    assert found.previous_seq is None


def test_a_damaged_memory_of_releases_lets_nothing_in(
    signed: Path, keys: Path, check: Check, tmp_path: Path
) -> None:
    accept(signed, keys, tmp_path / "device")
    (record,) = [p for p in (tmp_path / "device" / "releases").iterdir() if p.name != ".lock"]
    data = bytearray(record.read_bytes())
    data[-5] ^= 1
    record.write_bytes(data)
    with pytest.raises(IntegrityError, match=r"is damaged .* remove that file"):
        check(signed)


def test_where_nothing_can_be_remembered_nothing_is_let_in(
    signed: Path, check: Check, tmp_path: Path
) -> None:
    (tmp_path / "device").write_text("a file")
    with pytest.raises(IntegrityError, match="an older one would not be noticed"):
        check(signed)
    policy = Policy(key=tmp_path / "K.pub", store=tmp_path / "device")
    with pytest.raises(StorageError):
        require_memory(policy)
    require_memory(Policy(store=tmp_path / "device"))  # without a key nothing is remembered


def test_without_the_extra_a_key_is_never_taken_for_checked(
    signed: Path, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [n for n in sys.modules if n.partition(".")[0] == "model_signing"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "model_signing", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'deployopt\[sign\]'"):
        check(signed)
    assert check(signed, None).trust is Trust.UNVERIFIED
