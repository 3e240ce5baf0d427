"""Whatever is planted in a signed bundle is refused, each with its name in one list."""

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from deployopt.core.errors import IntegrityError
from tests.unit.signing.conftest import Check

Plant = Callable[[Path], object]


def file_at(name: str, data: bytes = b"planted") -> Plant:
    def plant(bundle: Path) -> None:
        path = bundle / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    return plant


def bound_socket(bundle: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        here = Path.cwd()
        os.chdir(bundle)
        try:
            made.bind("socket")
        finally:
            os.chdir(here)


def second_name(bundle: Path) -> None:
    (bundle.parent / "outside").hardlink_to(bundle / "model" / "model.onnx")


def replaced_by_link(bundle: Path) -> None:
    path = bundle / "labels.json"
    shutil.move(path, bundle.parent / "labels.json")
    path.symlink_to(bundle.parent / "labels.json")


def executable_verification(bundle: Path) -> None:
    file_at("verifications/1.json")(bundle)
    (bundle / "verifications/1.json").chmod(0o755)


def linked_verification(bundle: Path) -> None:
    (bundle / "verifications").mkdir()
    (bundle / "verifications/1.json").symlink_to("/etc")


PLANTED: dict[str, tuple[Plant, str]] = {
    "a file": (file_at("extra.bin"), r"'extra\.bin' is not listed"),
    "beside the model": (file_at("model/extra.bin"), r"'model/extra\.bin' is not listed"),
    "in a new folder": (file_at("a/b/c"), "'a/b/c' is not listed"),
    "under .git": (file_at(".git/config"), r"'\.git/config' is not listed"),
    "under .github": (file_at(".github/workflows/x.yml"), r"'\.github/workflows/x\.yml'"),
    ".gitattributes": (file_at(".gitattributes"), r"'\.gitattributes' is not listed"),
    ".gitignore": (file_at(".gitignore"), r"'\.gitignore' is not listed"),
    "hidden": (file_at(".hidden"), r"'\.hidden' is not listed"),
    "deep hidden": (file_at("model/.hidden"), r"'model/\.hidden' is not listed"),
    "empty": (file_at("empty", b""), "'empty' is not listed"),
    "a link": (lambda b: (b / "link").symlink_to("labels.json"), "'link' is a symbolic link"),
    "a link out": (lambda b: (b / "out").symlink_to("/etc"), "'out' is a symbolic link"),
    "a broken link": (lambda b: (b / "no").symlink_to("nowhere"), "'no' is a symbolic link"),
    "a file as link": (replaced_by_link, r"'labels\.json' is a symbolic link"),
    "a hard link": (second_name, r"'model/model\.onnx' has a second name"),
    "a pipe": (lambda b: os.mkfifo(b / "pipe"), "'pipe' is not a regular file"),
    "a socket": (bound_socket, "'socket' is not a regular file"),
    "executable": (lambda b: (b / "labels.json").chmod(0o755), r"'labels\.json' is executable"),
    "executable for others": (lambda b: (b / "labels.json").chmod(0o641), "is executable"),
    "the manifest executable": (lambda b: (b / "manifest.json").chmod(0o744), "is executable"),
    "an empty folder": (lambda b: (b / "void").mkdir(), "'void' is a folder of nothing listed"),
    "a folder in the model's": (lambda b: (b / "model/void").mkdir(), "'model/void' is a folder"),
    "a twin in capitals": (file_at("LABELS.JSON", b"[]\n"), r"'LABELS\.JSON' is not listed"),
    "a folder's twin": (file_at("Model/model.onnx"), r"'Model/model\.onnx' is not listed"),
    "the manifest's twin": (file_at("Manifest.json"), r"'Manifest\.json' is not listed"),
    "renamed": (lambda b: (b / "labels.json").rename(b / "label.json"), r"'labels\.json' is miss"),
    "removed": (lambda b: (b / "labels.json").unlink(), r"'labels\.json' is missing"),
    "a library": (file_at("model/libcustom.so", b"\x7fELF"), "is not listed"),
    "a pickle": (file_at("model/model.pkl", b"\x80\x04."), "is not listed"),
    "in signature": (file_at("signature/x.json"), "may not be in 'signature'"),
    "deep in signature": (file_at("signature/a/b"), "'signature/a/b' may not be in 'signature'"),
    "a folder in signature": (lambda b: (b / "signature/a").mkdir(), "may not be in 'signature'"),
    "a second signature": (file_at("Signature/model.sig"), r"'Signature/model\.sig' is not listed"),
    "the signature linked": (
        lambda b: (b / "signature/again").hardlink_to(b / "signature/model.sig"),
        r"'signature/model\.sig' has a second name",
    ),
    "the signature executable": (
        lambda b: (b / "signature/model.sig").chmod(0o755),
        r"'signature/model\.sig' is executable",
    ),
    "code among verifications": (file_at("verifications/x.so", b"\x7fELF"), "may not be in 'ver"),
    "hidden among verifications": (file_at("verifications/.x"), "may not be in 'verifications'"),
    "deep in verifications": (file_at("verifications/a/1.json"), "may not be in 'verifications'"),
    "in a leftover": (
        file_at("verifications/.deployopt-1-0123456789abcdef.partial/code.so"),
        "may not be in 'verifications'",
    ),
    "executable verification": (
        executable_verification,
        "is executable",
    ),
    "a linked verification": (
        linked_verification,
        "is a symbolic link",
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_it_is_refused(signed: Path, check: Check, name: str) -> None:
    plant, says = PLANTED[name]
    plant(signed)
    for key in ({}, {"key": None}):
        with pytest.raises(IntegrityError, match=says) as caught:
            check(signed, **key)
        assert caught.value.exit_code == 4


def test_all_at_once_are_listed(signed: Path, check: Check) -> None:
    for name in ("a file", "under .git", "a link", "a pipe", "an empty folder", "in signature"):
        PLANTED[name][0](signed)
    with pytest.raises(IntegrityError) as caught:
        check(signed)
    assert str(caught.value).count("\n  - ") == 7
