"""deployopt's own code, packed for a device, so that it runs there what runs here.

In: the installed package. Out: a digest of its modules and version; a zip of them with what says
the version, the same bytes for the same code. Data files stay here: measuring needs none.
"""

import hashlib
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import deployopt.core
from deployopt.core.errors import UnreachableError
from deployopt.core.requirements import requirements
from deployopt.core.version import VERSION
from deployopt.store.keys import frame_fields

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_DOMAIN: Final = b"deployopt-code-1"
_NAMES: Final = ("msgspec", "numpy", "onnxruntime", "psutil", "tokenizers")
"""What the device path imports. What these packages pull beside it is for other uses of them."""


def small_install() -> tuple[str, ...]:
    """The requirements of the device path, as the installed package has them.

    Raises:
        UnreachableError: deployopt runs without being installed, so that nobody knows them.
    """
    found = requirements()
    if not set(_NAMES) <= {one.name for one in found}:
        raise UnreachableError(
            "deployopt is not installed here as a package, so what it needs on a device is not "
            "known. Install it with pip."
        )
    return tuple(one.text for name in _NAMES for one in found if one.name == name)


class Code:
    """The modules as they were when this object was made, for as long as a device is held."""

    def __init__(self, root: Path | None = None) -> None:
        self._files = tuple(_files(root or Path(deployopt.core.__file__).parent.parent))

    @property
    def digest(self) -> str:
        """One digest for all modules and the version."""
        digest = hashlib.sha256(frame_fields([_DOMAIN]))
        for name, data in self._files:
            digest.update(frame_fields([name.encode(), data]))
        return digest.hexdigest()

    def packed(self) -> bytes:
        """A zip of them."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in self._files:
                archive.writestr(zipfile.ZipInfo(name, _EPOCH), data, zipfile.ZIP_DEFLATED)
        return buffer.getvalue()


def _files(root: Path) -> Iterator[tuple[str, bytes]]:
    """Names in the zip and bytes, sorted; the metadata says the version there."""
    for path in sorted(root.rglob("*.py")):
        yield f"deployopt/{path.relative_to(root).as_posix()}", path.read_bytes()
    facts = f"Metadata-Version: 2.1\nName: deployopt\nVersion: {VERSION}\n"
    yield f"deployopt-{VERSION}.dist-info/METADATA", facts.encode()
