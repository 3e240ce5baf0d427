"""Whether other machines may see a folder, too: by the kind of file system that it lies on.

In: a path, the kernel's table of mounts. Out: yes or no; where the table does not tell, no.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_MOUNTS: Final = Path("/proc/self/mountinfo")
_SEVERAL: Final = frozenset(
    [
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "gfs2",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "orangefs",
        "panfs",
        "pvfs2",
        "smb3",
        "smbfs",
        "virtiofs",
        "wekafs",
    ]
)
_FUSE: Final = "fuse."
"""sshfs, s3fs, JuiceFS and their like; a local disk through FUSE is `fuseblk`."""
_POINT: Final = 4
_ESCAPES: Final = {r"\040": " ", r"\011": "\t", r"\012": "\n", r"\134": "\\"}


def is_of_several_machines(path: Path, mounts: Path = _MOUNTS) -> bool:
    """Whether the folder, there or not yet, lies on what several machines may mount."""
    there = Path(os.path.realpath(path))
    best, kind = Path(), ""
    for point, found in _mounted(mounts):
        # Of two at one place the later one is on top.
        if there.is_relative_to(point) and len(point.parts) >= len(best.parts):
            best, kind = point, found
    return kind in _SEVERAL or kind.startswith(_FUSE)


def _mounted(mounts: Path) -> Iterator[tuple[Path, str]]:
    """Where something is mounted, and of what kind."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        before, separator, after = line.partition(" - ")
        fields = before.split(" ")
        if separator and len(fields) > _POINT:
            point = fields[_POINT]
            for written, meant in _ESCAPES.items():
                point = point.replace(written, meant)
            yield Path(point), after.split(" ")[0]
