"""The calls that take a bundle on its way as one file."""

from pathlib import Path
from typing import TYPE_CHECKING

from deployopt.core.packing import PackResult

if TYPE_CHECKING:
    from deployopt.store.archives import Packed


def pack(bundle: str | Path, output: str | Path | None = None) -> PackResult:
    """Write a bundle, with its signature, into one plain tar; by default `NAME.tar` beside it.

    Raises:
        IntegrityError: the bundle is not the one that was built.
        UsageError: something is at `output`.
        StorageError: the disk failed.
    """
    from deployopt.store.archives import pack_bundle

    folder = Path(bundle)
    archive = Path(output) if output else folder.absolute().with_name(f"{folder.name}.tar")
    return _result(archive, folder, pack_bundle(folder, archive))


def unpack(archive: str | Path, output: str | Path | None = None) -> PackResult:
    """Read a bundle out of such a file into a new folder, by default named after it.

    Raises:
        IntegrityError: it is not a file that `pack` wrote, or a byte of it is different.
        UsageError: something is at `output`.
        StorageError: the disk failed; nothing is at `output`.
    """
    from deployopt.store.archives import unpack_bundle

    path = Path(archive)
    folder = Path(output) if output else Path(path.name.removesuffix(".tar") or "bundle")
    if output is None and folder.name == path.name:
        folder = Path(f"{path.name}.bundle")
    return _result(path, folder, unpack_bundle(path, folder))


def _result(archive: Path, folder: Path, packed: "Packed") -> PackResult:
    return PackResult(
        archive=str(archive),
        bundle=str(folder),
        name=packed.manifest.name,
        bundle_digest=packed.manifest.bundle_digest,
        files=packed.files,
        size_bytes=packed.size_bytes,
        signed=packed.signed,
    )
