"""A bundle appears whole, replaces only a bundle, and nothing of the user's is lost."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from deployopt.core.bundle import Manifest
from deployopt.core.errors import IntegrityError, StorageError, UsageError
from deployopt.store import publishing
from deployopt.store.manifests import encode_manifest
from deployopt.store.publishing import add_verification, publish_bundle
from deployopt.store.verifying import verify_bundle
from deployopt.store.writing import sync_folder
from tests.fakes.bundles import manifest_of

Publish = Callable[..., Path]

OLD = {"model.onnx": b"old", "a/b/c": b"1"}
NEW = {"model.onnx": b"new", "report.html": b"<p>"}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_files_are_plain_and_nothing_else_is_left(publish: Publish, tmp_path: Path) -> None:
    bundle = publish(OLD, tmp_path / "made/here/bundle")
    verify_bundle(bundle)
    assert names(bundle.parent) == ["bundle"]
    for path in bundle.rglob("*"):
        mode = path.lstat().st_mode
        assert stat.S_ISDIR(mode) or (stat.S_ISREG(mode) and stat.S_IMODE(mode) == 0o644)


@pytest.mark.parametrize("can_exchange", [True, False])
def test_an_older_bundle_is_replaced(
    publish: Publish, monkeypatch: pytest.MonkeyPatch, *, can_exchange: bool
) -> None:
    if not can_exchange:
        monkeypatch.setattr(publishing, "exchange", lambda *_: False)
    publish(OLD)
    bundle = publish(NEW)
    assert {entry.path for entry in verify_bundle(bundle).files} == set(NEW)
    assert (bundle / "model.onnx").read_bytes() == b"new"
    assert names(bundle.parent) == ["bundle"]


@pytest.mark.parametrize("can_exchange", [True, False])
def test_what_is_published_stays_where_the_older_one_cannot_be_removed(
    publish: Publish, monkeypatch: pytest.MonkeyPatch, *, can_exchange: bool
) -> None:
    """The disk fails in the instant after; an error then would say that nothing was published."""
    publish(OLD)
    if not can_exchange:
        monkeypatch.setattr(publishing, "exchange", lambda *_: False)

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as broken:

        def synced(folder: Path) -> None:
            sync_folder(folder)
            if (folder / "bundle").is_dir():
                for call in ("unlink", "rmdir", "rename"):
                    broken.setattr(os, call, fail)

        broken.setattr(publishing, "sync_folder", synced)
        bundle = publish(NEW)
    assert (bundle / "model.onnx").read_bytes() == b"new"
    assert publish(NEW) == bundle
    assert len(names(bundle.parent)) == (1 if can_exchange else 2)


def test_the_same_bundle_stays_with_its_verifications(publish: Publish) -> None:
    bundle = publish(OLD)
    inode = bundle.stat().st_ino
    add_verification(bundle, "pi.json", b"{}")
    publish(OLD)
    assert bundle.stat().st_ino == inode
    assert (bundle / "verifications/pi.json").read_bytes() == b"{}"


def test_a_damaged_copy_is_replaced_by_the_whole_one(publish: Publish) -> None:
    bundle = publish(OLD)
    (bundle / "model.onnx").write_bytes(b"bad")
    publish(OLD)
    verify_bundle(bundle)


@pytest.mark.parametrize(
    "kind", ["file", "folder", "link", "bundle and more", "bundle less", "bundle and a link"]
)
def test_what_is_not_a_bundle_is_never_touched(publish: Publish, tmp_path: Path, kind: str) -> None:
    target = tmp_path / "mine"
    if kind == "file":
        target.write_bytes(b"thesis")
    elif kind == "folder":
        target.mkdir()
        (target / "thesis").write_bytes(b"thesis")
    elif kind == "link":
        target.symlink_to(publish(OLD))
    else:
        publish(OLD, target)
        if kind == "bundle and more":
            (target / "thesis").write_bytes(b"thesis")
        elif kind == "bundle less":
            (target / "model.onnx").unlink()
        else:
            (target / "link").symlink_to("model.onnx")
    before = {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("mine*")}
    with pytest.raises(UsageError, match=str(target)):
        publish(NEW, target)
    assert {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("mine*")} == before


def test_an_empty_folder_is_taken(publish: Publish, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    verify_bundle(publish(NEW, tmp_path / "empty"))


def test_a_source_that_changed_since_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "model.onnx"
    source.write_bytes(b"1")
    manifest = manifest_of({"model.onnx": source})
    source.write_bytes(b"2")
    with pytest.raises(IntegrityError, match=r"model\.onnx"):
        publish_bundle({"model.onnx": source}, manifest, tmp_path / "out/bundle")
    assert names(tmp_path / "out") == []


def test_a_listing_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "a"
    source.write_bytes(b"1")
    manifest = manifest_of({"a": source})
    with pytest.raises(ValueError, match="'b'"):
        publish_bundle({"a": source, "b": source}, manifest, tmp_path / "out")
    with pytest.raises(ValueError, match="keep for themselves"):
        publish_bundle(
            {"verifications/x": source}, manifest_of({"verifications/x": source}), tmp_path / "out"
        )


def test_a_full_disk_leaves_the_old_bundle(
    publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = publish(OLD)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(StorageError, match=r"Failed publishing .* No space left"):
            publish(NEW)
    assert (bundle / "model.onnx").read_bytes() == b"old"
    assert names(bundle.parent) == ["bundle"]


def test_what_a_killed_publisher_left_is_removed_by_the_next(publish: Publish) -> None:
    bundle = publish(OLD)
    leftover = bundle.parent / ".deployopt-1-0123456789abcdef.partial"
    (leftover / "bundle").mkdir(parents=True)
    publish(NEW)
    assert names(bundle.parent) == ["bundle"]


def test_what_a_user_puts_there_meanwhile_is_never_touched(
    publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = publish(OLD)
    real = encode_manifest

    def planting(manifest: Manifest) -> tuple[bytes, bytes]:
        (bundle / "thesis").write_bytes(b"thesis")
        return real(manifest)

    monkeypatch.setattr(publishing, "encode_manifest", planting)
    with pytest.raises(UsageError, match="not a deployopt bundle"):
        publish(NEW)
    assert (bundle / "thesis").read_bytes() == b"thesis"
    assert names(bundle.parent) == ["bundle"]
