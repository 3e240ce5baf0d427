"""A bundle is exactly what its manifest says, or every difference is told."""

import hashlib
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from deployopt.core.codec import SIZE_MAX
from deployopt.core.errors import IntegrityError, UsageError
from deployopt.store.paths import MANIFEST, SEAL
from deployopt.store.publishing import add_verification
from deployopt.store.verifying import is_bundle, verify_bundle

Publish = Callable[..., Path]

CONTENTS = {"model.onnx": os.urandom(2000), "tokenizer/vocab.json": b"{}", "labels.json": b"[]"}


def rewrite_manifest(bundle: Path, **changes: object) -> None:
    """Change the manifest and its seal, as somebody who knows the format would."""
    data = json.dumps({**json.loads((bundle / MANIFEST).read_bytes()), **changes}).encode()
    (bundle / MANIFEST).write_bytes(data)
    (bundle / SEAL).write_text(f"{hashlib.sha256(data).hexdigest()}  {MANIFEST}\n")


def test_a_published_bundle_is_itself(publish: Publish) -> None:
    bundle = publish(CONTENTS)
    assert {entry.path for entry in verify_bundle(bundle).files} == set(CONTENTS)
    assert is_bundle(bundle)
    subprocess.run(["sha256sum", "--check", "--strict", SEAL], cwd=bundle, check=True)


def test_one_flipped_byte_at_any_place_is_refused(publish: Publish) -> None:
    bundle = publish(CONTENTS)
    tried = 0
    for path in sorted(path for path in bundle.rglob("*") if path.is_file()):
        data = path.read_bytes()
        for offset in range(0, len(data), 13):
            flipped = bytearray(data)
            flipped[offset] ^= 1 << (offset % 8)
            path.write_bytes(flipped)
            with pytest.raises(IntegrityError):
                verify_bundle(bundle)
            tried += 1
        path.write_bytes(data)
        verify_bundle(bundle)
    assert tried > 200


def test_every_mismatch_is_listed_at_once(publish: Publish) -> None:
    bundle = publish({**CONTENTS, "a": b"1", "b": b"2", "c": b"3"})
    (bundle / "model.onnx").write_bytes(CONTENTS["model.onnx"][::-1])
    (bundle / "labels.json").write_bytes(b"[ ]")
    (bundle / "a").unlink()
    (bundle / "b").chmod(0o755)
    (bundle / "c").unlink()
    (bundle / "c").symlink_to("b")
    (bundle / "planted.so").write_bytes(b"\x7fELF")
    (bundle / ".git").mkdir()
    (bundle / "new\nline").write_bytes(b"")
    with pytest.raises(IntegrityError) as caught:
        verify_bundle(bundle)
    lines = str(caught.value).splitlines()
    assert lines[0].endswith("(9 mismatches):")
    assert sorted(line.removeprefix("  - ") for line in lines[1:-1]) == [
        "'.git' is a folder of nothing listed",
        "'a' is missing",
        "'b' is executable",
        "'c' is a symbolic link",
        "'c' is missing",
        "'labels.json' has 3 bytes, not 2",
        "'model.onnx' has other bytes",
        "'new\\nline' is not listed",
        "'planted.so' is not listed",
    ]
    assert caught.value.exit_code == 4


def test_a_second_name_of_a_file_is_refused(publish: Publish, tmp_path: Path) -> None:
    bundle = publish(CONTENTS)
    (tmp_path / "elsewhere").hardlink_to(bundle / "model.onnx")
    with pytest.raises(IntegrityError, match="hard link"):
        verify_bundle(bundle)


@pytest.mark.parametrize("path", ["../outside", "/etc/hostname", "a/../model.onnx", "MODEL.onnx"])
def test_a_listed_path_out_of_the_bundle_is_never_opened(
    publish: Publish, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    bundle = publish(CONTENTS)
    (bundle.parent / "outside").write_bytes(b"secret")
    files = json.loads((bundle / MANIFEST).read_bytes())["files"]
    digest = hashlib.sha256(b"secret").hexdigest()
    rewrite_manifest(bundle, files=[*files, {"path": path, "size_bytes": 6, "sha256": digest}])
    opened: list[str] = []
    real = os.open

    def recorded(name: Path, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        opened.append(str(name))
        return real(name, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", recorded)
    with pytest.raises(IntegrityError):
        verify_bundle(bundle)
    assert all(name.startswith(f"{bundle}/") and ".." not in name for name in opened)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "cannot be read"),
        (b"[]", "cannot be read"),
        (b'{"format_version": 1}', "cannot be read"),
        (b'{"format_version": 2}', "format version 2"),
        (b"\xff\xfe", "cannot be read"),
        (b"[" * 100_000, "cannot be read"),
        (b'{"a":' * 5000, "cannot be read"),
        (b" " * (SIZE_MAX + 1), "at most"),
    ],
)
def test_a_manifest_that_is_none_is_refused(publish: Publish, data: bytes, message: str) -> None:
    bundle = publish(CONTENTS)
    (bundle / MANIFEST).write_bytes(data)
    (bundle / SEAL).write_text(f"{hashlib.sha256(data).hexdigest()}  {MANIFEST}\n")
    with pytest.raises(IntegrityError, match=message):
        verify_bundle(bundle)
    assert not is_bundle(bundle)


@pytest.mark.parametrize("kind", ["absent", "link", "folder", "pipe", "file"])
def test_a_bundle_that_is_no_folder_with_a_manifest_is_refused(publish: Publish, kind: str) -> None:
    bundle = publish(CONTENTS)
    if kind == "file":
        bundle = bundle / "model.onnx"
    else:
        (bundle / MANIFEST).unlink()
    if kind == "link":
        (bundle / MANIFEST).symlink_to(bundle / "labels.json")
    elif kind == "folder":
        (bundle / MANIFEST).mkdir()
    elif kind == "pipe":
        os.mkfifo(bundle / MANIFEST)
    with pytest.raises(IntegrityError, match="bundle"):
        verify_bundle(bundle)


def test_no_bundle_at_all_is_a_wrong_argument(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing"):
        verify_bundle(tmp_path / "absent")


def test_a_missing_seal_is_a_mismatch(publish: Publish) -> None:
    bundle = publish(CONTENTS)
    (bundle / SEAL).unlink()
    with pytest.raises(IntegrityError, match=r"'manifest\.json' is not what"):
        verify_bundle(bundle)


def test_verifications_may_be_added_and_nothing_else(publish: Publish) -> None:
    bundle = publish(CONTENTS)
    path = add_verification(bundle, "pi-1.json", b"{}")
    assert path == bundle / "verifications/pi-1.json"
    leftover = bundle / "verifications/.deployopt-1-0123456789abcdef.partial"
    leftover.mkdir()
    (leftover / "file").write_bytes(b"{")
    verify_bundle(bundle)
    assert is_bundle(bundle)
    with pytest.raises(ValueError, match="not a file name"):
        add_verification(bundle, "../model.onnx", b"")
    (bundle / "verifications/deep").mkdir()
    (bundle / "verifications/deep/x").write_bytes(b"")
    (bundle / "verifications/e x").write_bytes(b"")
    (bundle / "verifications/run.sh").write_bytes(b"")
    (bundle / "verifications/run.sh").chmod(0o755)
    with pytest.raises(IntegrityError, match=r"\(5 mismatches\)"):
        verify_bundle(bundle)
