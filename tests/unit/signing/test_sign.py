"""Signing adds a folder, in one step, and leaves what was built as it is."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest

from deployopt.core.errors import IntegrityError, StorageError, UsageError
from deployopt.signing import sign as sign_module
from deployopt.signing.sign import sign
from deployopt.store.paths import SIGNATURE, SIGNATURE_FILES
from deployopt.store.publishing import publish_bundle
from deployopt.store.signatures import Fill, put_signature
from deployopt.store.verifying import verify_bundle
from tests.fakes.signed import edit_json, tiny_bundle
from tests.unit.signing.conftest import Check


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_what_was_built_stays_as_it_is(bundle: Path, keys: Path, tmp_path: Path) -> None:
    before, manifest = contents(bundle), verify_bundle(bundle)
    result = sign(bundle, keys / "K", store=tmp_path / "store")
    after = contents(bundle)
    added = {f"{SIGNATURE}/{name}" for name in SIGNATURE_FILES}
    assert after.keys() - before.keys() == added
    assert {name: after[name] for name in before} == before
    assert verify_bundle(bundle) == manifest
    assert result.files == len(before) + len(added) - 1
    assert (result.release_seq, result.warnings) == (1, ())
    assert result.public_key == str(keys / "K.pub")
    assert not list(bundle.parent.glob(".deployopt-*"))


def test_a_bundle_that_is_not_whole_is_not_signed(bundle: Path, keys: Path, tmp_path: Path) -> None:
    (bundle / "planted").write_bytes(b"")
    with pytest.raises(IntegrityError, match="'planted' is not listed"):
        sign(bundle, keys / "K", store=tmp_path / "store")
    assert not (bundle / SIGNATURE).exists()


def test_releases_count_up_by_themselves(bundle: Path, keys: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    assert [sign(bundle, keys / "K", store=store).release_seq for _ in range(2)] == [1, 2]
    # A new build of the same name, in a place where nothing was signed yet.
    later = tiny_bundle(tmp_path / "later", model=b"better", digest="2" * 64)
    assert sign(later, keys / "K", store=store).release_seq == 3
    # Another machine knows what the bundle's own signature says.
    assert sign(later, keys / "K", store=tmp_path / "fresh").release_seq == 4
    # Another key's number means nothing.
    assert sign(later, keys / "L", store=store).release_seq == 1


def test_a_number_that_nobody_signed_is_not_counted_from(
    signed: Path, keys: Path, tmp_path: Path
) -> None:
    edit_json(signed / SIGNATURE / "release.json", release_seq=10**9)
    assert sign(signed, keys / "K", store=tmp_path / "fresh").release_seq == 1


def test_a_lower_number_is_warned_of(signed: Path, keys: Path, tmp_path: Path) -> None:
    result = sign(signed, keys / "K", release_seq=2, store=tmp_path / "signers")
    assert result.release_seq == 2
    assert "refuses release 2" in result.warnings[0]
    assert sign(signed, keys / "K", store=tmp_path / "signers").release_seq == 4


@pytest.mark.parametrize("number", [0, -1, 2**53])
def test_a_number_that_is_none_is_refused(
    bundle: Path, keys: Path, tmp_path: Path, number: int
) -> None:
    with pytest.raises(UsageError, match="A release's number is from 1"):
        sign(bundle, keys / "K", release_seq=number, store=tmp_path / "store")
    assert not (bundle / SIGNATURE).exists()


def test_a_key_that_others_can_read_is_warned_of(bundle: Path, keys: Path, tmp_path: Path) -> None:
    key = Path(shutil.copy(keys / "K", tmp_path / "K"))
    key.chmod(0o644)
    result = sign(bundle, key, store=tmp_path / "store")
    assert result.warnings == (
        f"{key} can be read by others than its owner. Mend it with: chmod 600 {key}",
    )
    assert result.public_key is None


def test_a_kill_before_the_last_step_leaves_the_old_signature(
    signed: Path, keys: Path, check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(signed)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("deployopt.store.signatures.exchange", fail)
    with pytest.raises(StorageError, match="No space left"):
        sign(signed, keys / "K", store=tmp_path / "signers")
    assert contents(signed) == before
    assert check(signed).release_seq == 3
    assert not list(signed.parent.glob(".deployopt-*"))


def test_where_folders_cannot_change_places_it_is_signed_all_the_same(
    signed: Path, keys: Path, check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployopt.store.signatures.exchange", lambda *_: False)
    sign(signed, keys / "K", store=tmp_path / "signers")
    assert check(signed).release_seq == 4


def test_a_file_that_changes_while_it_is_signed_is_noticed(
    bundle: Path, keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    def put(folder: Path, fill: Fill) -> Path:
        place = put_signature(folder, fill)
        (folder / "labels.json").write_bytes(b"{}\n")
        return place

    monkeypatch.setattr(sign_module, "put_signature", put)
    with pytest.raises(IntegrityError, match=r"labels\.json"):
        sign(bundle, keys / "K", store=tmp_path / "store")


def test_publishing_the_same_again_keeps_the_signature(signed: Path, check: Check) -> None:
    manifest = verify_bundle(signed)
    files = {entry.path: signed / entry.path for entry in manifest.files}
    publish_bundle(files, manifest, signed)
    assert check(signed).release_seq == 3


def test_a_copy_anywhere_is_as_signed_as_the_bundle(
    signed: Path, check: Check, tmp_path: Path
) -> None:
    copy = shutil.copytree(signed, tmp_path / "elsewhere" / "renamed")
    for path in copy.rglob("*"):
        os.utime(path, (0, 0))
    assert check(copy).release_seq == 3


def test_the_statement_names_every_file(signed: Path) -> None:
    from deployopt.signing.envelope import read_envelope

    data = (signed / SIGNATURE / "model.sig").read_bytes()
    listed = read_envelope(data, "").digests
    there = contents(signed)
    del there[f"{SIGNATURE}/model.sig"]
    assert listed == there
    assert json.loads((signed / SIGNATURE / "release.json").read_bytes())["release_seq"] == 3
