"""A small Debian of the other architecture, unpacked and never booted, and one view a processor.

In: the folder where such things are kept. Out: a root for the emulator, with a Python. Made once
from the distribution's own packages, whose signatures are checked; some 80 MiB.
"""

import hashlib
from pathlib import Path
from typing import Final

from deployopt.core.errors import DeviceError
from deployopt.remote.emulation.processors import Processor
from deployopt.remote.emulation.tools import MAKE_SYSTEM, find_tools, run_tool
from deployopt.store.faults import require_space
from deployopt.store.kept import kept_folder
from deployopt.store.writing import write_new_file

PYTHON: Final = "3.11"
"""Of the release; wheels are chosen for it."""
PYTHON_PATH: Final = f"usr/bin/python{PYTHON}"
_RELEASE: Final = "bookworm"
_PACKAGES: Final = (
    *("python3", f"libpython{PYTHON}-stdlib", "libstdc++6", "libgcc-s1", "libgomp1", "zlib1g"),
    *("libssl3", "libffi8", "libexpat1"),
)
_ROOM_BYTES: Final = 400 * 2**20
_CORES: Final = 4
_SHARED: Final = ("usr", "lib", "etc")


def debian_root(home: Path) -> Path:
    """The unpacked Debian.

    Raises:
        DeviceError: the program that makes it is missing or failed, such as without a network.
        StorageError: the disk is full.
    """
    digest = hashlib.sha256("\n".join((_RELEASE, *_PACKAGES)).encode()).hexdigest()[:16]
    return kept_folder(home, f"debian-{_RELEASE}-{digest}", _unpack)


def _unpack(folder: Path) -> None:
    (program,) = find_tools(MAKE_SYSTEM)
    require_space(folder.parent.parent, _ROOM_BYTES, "A small Debian for ARM")
    run_tool(
        [
            *(program, "--quiet", "--variant=extract", "--architectures=arm64"),
            *(f"--include={','.join(_PACKAGES)}", _RELEASE, folder),
        ],
        "Fetching a small Debian for ARM (it needs the network once)",
    )
    if not (folder / PYTHON_PATH).exists():
        raise DeviceError(f"{program} made a Debian without {PYTHON_PATH}.")


def processor_root(home: Path, processor: Processor) -> Path:
    """The same Debian, with the processor's own /proc/cpuinfo.

    The emulator looks for absolute paths in its root first: without a file there a program would
    read the host's, and ONNX Runtime dies of that.
    """
    system = debian_root(home)
    text = processor.cpuinfo(_CORES)
    digest = hashlib.sha256(f"{system.name}\n{text}".encode()).hexdigest()[:16]

    def link(folder: Path) -> None:
        processors = folder / "sys/devices/system/cpu"
        for made in (processors, folder / "proc"):
            made.mkdir(parents=True)
        for name in _SHARED:
            (folder / name).symlink_to(Path("..") / system.name / name)
        for name in ("possible", "present", "online"):
            write_new_file(processors / name, f"0-{_CORES - 1}\n".encode())
        write_new_file(folder / "proc/cpuinfo", text.encode())

    return kept_folder(home, f"{processor.name}-{digest}", link)
