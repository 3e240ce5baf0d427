"""A file is told by its bytes, not by its name."""

import gzip
import io
import sys
import zipfile
from pathlib import Path

import pytest

from deployopt.core.errors import IntegrityError
from deployopt.store.contents import foreign_content
from deployopt.store.verifying import verify_bundle
from tests.unit.store.conftest import Publish

PE = b"MZ" + bytes(58) + (64).to_bytes(4, "little") + b"PE\x00\x00" + bytes(64)


def zipped() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02.")
    return data.getvalue()


FOREIGN = {
    "elf": (b"\x7fELF\x02\x01\x01" + bytes(99), "ELF"),
    "mach-o": (b"\xcf\xfa\xed\xfe" + bytes(99), "Mach-O"),
    "universal": (b"\xca\xfe\xba\xbe" + bytes(99), "Mach-O"),
    "pe": (PE, "PE"),
    "pickle 2": (b"\x80\x02}q\x00.", "a pickle"),
    "pickle 4": (b"\x80\x04\x95\x01\x00\x00\x00\x00\x00\x00\x00).", "a pickle"),
    "pickle 5": (b"\x80\x05N.", "a pickle"),
    "pickle 0": (b"cos\nsystem\n(S'id'\ntR.", "a pickle"),
    "pickle 0 posix": (b"cposix\nsystem\n(S'id'\ntR.", "a pickle"),
    "script": (b"#!/bin/sh\nid\n", "a script"),
    "zip": (zipped(), "zip"),
    "gzip": (gzip.compress(b"x"), "gzip"),
    "xz": (b"\xfd7zXZ\x00" + bytes(20), "xz"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_listed_file_of_such_bytes_is_refused(publish: Publish, name: str) -> None:
    data, says = FOREIGN[name]
    for path in ("model/model.onnx", "labels.json", "model/weights.bin"):
        bundle = publish({"a": b"1", path: data})
        with pytest.raises(IntegrityError, match=rf"'{path}' is .*{says}"):
            verify_bundle(bundle)


def test_this_very_python_is_a_program() -> None:
    assert "ELF" in (foreign_content(Path(sys.executable).resolve()) or "")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80",
        b"\x80\x04 raw weights may begin so",
        b"MZ and no program",
        b"# a heading",
        b'{"a": 1}',
        b"\x08\x0a\x12\x07pytorch",
        bytes(200),
    ],
)
def test_others_are_not_taken_for_such(publish: Publish, data: bytes) -> None:
    verify_bundle(publish({"model/weights.bin": data}))


def test_arrays_are_archives_by_right(publish: Publish) -> None:
    verify_bundle(publish({"gate/reference.npz": zipped()}))
