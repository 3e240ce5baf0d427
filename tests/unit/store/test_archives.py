"""An archive is read in one order only; what does not come next is refused, and nothing is kept."""

import hashlib
import os
import random
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from deployopt.core.errors import IntegrityError, StorageError, UsageError
from deployopt.store import archives
from deployopt.store.archives import BLOCK, pack_bundle, unpack_bundle
from deployopt.store.paths import MANIFEST, SIGNATURE, SIGNATURE_FILES
from deployopt.store.publishing import add_verification
from deployopt.store.verifying import verify_bundle
from tests.unit.store.conftest import Publish

LONG = "/".join(["a" * 60, "b" * 60, "c" * 60])
CONTENTS = {"model/model.onnx": os.urandom(3000), "labels.json": b"[]", "e": b"", LONG: b"1" * 512}


@pytest.fixture
def bundle(publish: Publish) -> Path:
    return publish(CONTENTS)


@pytest.fixture
def packed(bundle: Path, tmp_path: Path) -> Path:
    pack_bundle(bundle, tmp_path / "bundle.tar")
    return tmp_path / "bundle.tar"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_it_comes_back_as_it_was(bundle: Path, packed: Path, tmp_path: Path) -> None:
    found = unpack_bundle(packed, tmp_path / "there" / "bundle")
    assert contents(tmp_path / "there" / "bundle") == contents(bundle)
    assert verify_bundle(tmp_path / "there" / "bundle") == found.manifest
    assert (found.files, found.signed) == (6, False)
    modes = {p.stat().st_mode & 0o777 for p in (tmp_path / "there" / "bundle").rglob("*")}
    assert modes == {0o644, 0o755}


def test_other_programs_read_it(bundle: Path, packed: Path) -> None:
    with tarfile.open(packed) as archive:
        members = archive.getmembers()
        assert [m.name for m in members][:2] == [MANIFEST, "manifest.json.sha256"]
        found = {}
        for member in members:
            assert member.isreg()
            file = archive.extractfile(member)
            assert file is not None
            found[member.name] = file.read()
    assert found == contents(bundle)


def test_the_same_bundle_gives_the_same_bytes(bundle: Path, packed: Path, tmp_path: Path) -> None:
    for path in bundle.rglob("*"):
        os.utime(path, (5, 5))
    pack_bundle(bundle, tmp_path / "again.tar")
    assert (tmp_path / "again.tar").read_bytes() == packed.read_bytes()


def test_a_signature_travels_and_what_devices_added_stays(bundle: Path, tmp_path: Path) -> None:
    (bundle / SIGNATURE).mkdir()
    for name in SIGNATURE_FILES:
        (bundle / SIGNATURE / name).write_bytes(name.encode())
    add_verification(bundle, "001.json", b"{}")
    assert pack_bundle(bundle, tmp_path / "b.tar").signed
    assert unpack_bundle(tmp_path / "b.tar", tmp_path / "c").signed
    there = contents(bundle)
    del there["verifications/001.json"]
    assert contents(tmp_path / "c") == there


def test_nothing_is_ever_replaced(bundle: Path, packed: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is there already"):
        pack_bundle(bundle, packed)
    with pytest.raises(UsageError, match="is there already"):
        unpack_bundle(packed, bundle)
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="is there already"):
        unpack_bundle(packed, tmp_path / "link")
    with pytest.raises(UsageError, match="inside the bundle"):
        pack_bundle(bundle, bundle / "x.tar")
    with pytest.raises(UsageError, match="cannot be read"):
        unpack_bundle(tmp_path / "absent", tmp_path / "new")
    with pytest.raises(UsageError, match="no regular file"):
        unpack_bundle(bundle, tmp_path / "new")


def test_a_bundle_that_is_not_whole_is_not_packed(bundle: Path, tmp_path: Path) -> None:
    (bundle / "planted").write_bytes(b"")
    with pytest.raises(IntegrityError, match="planted"):
        pack_bundle(bundle, tmp_path / "b.tar")
    assert not (tmp_path / "b.tar").exists()


def by_tarfile(bundle: Path, change: Callable[[tarfile.TarInfo], object], last: str = "") -> bytes:
    """The same files as another program packs them, one header changed."""
    out = b""
    for name in [MANIFEST, "manifest.json.sha256", *sorted(CONTENTS)]:
        data = (bundle / name).read_bytes()
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(data), 0o644
        if name == "labels.json":
            change(info)
        out += info.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % BLOCK)
    if last:
        out += tarfile.TarInfo(last).tobuf(tarfile.USTAR_FORMAT)
    return out + bytes(2 * BLOCK)


def become(**fields: object) -> Callable[[tarfile.TarInfo], None]:
    def change(info: tarfile.TarInfo) -> None:
        for name, value in fields.items():
            setattr(info, name, value)

    return change


HOSTILE: dict[str, Callable[[tarfile.TarInfo], object]] = {
    "up": become(name="../labels.json"),
    "absolute": become(name="/tmp/labels.json"),  # noqa: S108 -- hostile on purpose
    "dotted": become(name="./labels.json"),
    "symbolic link": become(type=tarfile.SYMTYPE, linkname="/etc/passwd", size=0),
    "hard link": become(type=tarfile.LNKTYPE, linkname="model/model.onnx", size=0),
    "device": become(type=tarfile.CHRTYPE, devmajor=1, devminor=3, size=0),
    "pipe": become(type=tarfile.FIFOTYPE, size=0),
    "folder": become(type=tarfile.DIRTYPE, size=0),
    "sparse": become(type=tarfile.GNUTYPE_SPARSE),
    "twin": become(name="LABELS.JSON"),
    "second": become(name="e"),
    "executable": become(mode=0o755),
    "set-uid": become(mode=0o4644),
    "owned": become(uid=1000),
    "dated": become(mtime=1),
    "longer": become(size=3),
    "huge": become(size=8**11 - 1),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_member_is_refused(bundle: Path, packed: Path, tmp_path: Path, name: str) -> None:
    def change(info: tarfile.TarInfo) -> None:
        HOSTILE[name](info)

    data = by_tarfile(bundle, change)
    assert data != packed.read_bytes()
    assert by_tarfile(bundle, lambda _: None) == packed.read_bytes(), "the test packs otherwise"
    (tmp_path / "x.tar").write_bytes(data)
    with pytest.raises(IntegrityError, match=r"is not an archive as .* writes it"):
        unpack_bundle(tmp_path / "x.tar", tmp_path / "new")
    assert not (tmp_path / "new").exists()
    assert not list(tmp_path.glob(".deployopt-*"))


def test_one_more_file_is_refused(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(by_tarfile(bundle, lambda _: None, last="extra"))
    with pytest.raises(IntegrityError):
        unpack_bundle(tmp_path / "x.tar", tmp_path / "new")


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz"])
def test_a_compressed_one_is_refused(bundle: Path, tmp_path: Path, kind: str) -> None:
    with tarfile.open(tmp_path / "x", f"w:{kind}") as archive:  # type: ignore[call-overload]
        archive.add(bundle, "bundle")
    with pytest.raises(IntegrityError, match="does not come first"):
        unpack_bundle(tmp_path / "x", tmp_path / "new")


def test_mutants_are_refused(packed: Path, tmp_path: Path) -> None:
    """Flipped, cut, or longer: whatever is not the archive's own bytes."""
    whole, lot = packed.read_bytes(), random.Random(1)  # noqa: S311 -- no secret
    for number in range(150):
        data = bytearray(whole)
        if number % 3 == 0:
            data[lot.randrange(len(data))] ^= 1 << lot.randrange(8)
        elif number % 3 == 1:
            del data[lot.randrange(len(data)) :]
        else:
            place = lot.randrange(0, len(data) + 1, BLOCK)
            data[place:place] = lot.choice((bytes(BLOCK), lot.randbytes(BLOCK), whole[:BLOCK]))
        (tmp_path / "x.tar").write_bytes(data)
        with pytest.raises(IntegrityError):
            unpack_bundle(tmp_path / "x.tar", tmp_path / "new")
        assert not (tmp_path / "new").exists()
    (tmp_path / "x.tar").write_bytes(whole)
    unpack_bundle(tmp_path / "x.tar", tmp_path / "new")


@pytest.mark.parametrize("size", [-1, -(2**70), 8**11, 2**63])
def test_a_manifest_with_an_impossible_size_is_refused(
    bundle: Path, tmp_path: Path, size: int
) -> None:
    text = (bundle / MANIFEST).read_text()
    manifest = text.replace('"size_bytes": 2\n', f'"size_bytes": {size}\n').encode()
    assert manifest != text.encode()
    seal = f"{hashlib.sha256(manifest).hexdigest()}  {MANIFEST}\n".encode()
    parts = [(MANIFEST, manifest), ("manifest.json.sha256", seal)]
    data = b"".join(archives._header(n, len(d)) + d + bytes(-len(d) % BLOCK) for n, d in parts)
    (tmp_path / "x.tar").write_bytes(data + bytes(4 * BLOCK))
    with pytest.raises((IntegrityError, StorageError)):
        unpack_bundle(tmp_path / "x.tar", tmp_path / "new")
    assert not (tmp_path / "new").exists()
