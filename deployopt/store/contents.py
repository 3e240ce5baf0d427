"""What a file is by its first bytes, whatever it is called: no program, pickle or archive.

In: a file of a bundle. Out: what it is, if it may not be there. Loading such a file is how code
gets in; a bundle holds ONNX, OpenVINO, JSON, text and .npz, and none of them begins so.
"""

import os
from pathlib import Path
from typing import Final

_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_HEAD: Final = 64
_KINDS: Final = (
    (b"\x7fELF", "a program or library (ELF)"),
    (b"\xfe\xed\xfa\xce", "a program or library (Mach-O)"),
    (b"\xfe\xed\xfa\xcf", "a program or library (Mach-O)"),
    (b"\xce\xfa\xed\xfe", "a program or library (Mach-O)"),
    (b"\xcf\xfa\xed\xfe", "a program or library (Mach-O)"),
    (b"\xca\xfe\xba\xbe", "a program or library (Mach-O)"),
    (b"#!/", "a script"),
    (b"#! /", "a script"),
    (b"PK\x03\x04", "an archive (zip), as pickles of PyTorch are"),
    (b"\x1f\x8b\x08", "an archive (gzip)"),
    (b"BZh91AY&SY", "an archive (bzip2)"),
    (b"\xfd7zXZ\x00", "an archive (xz)"),
    (b"7z\xbc\xaf\x27\x1c", "an archive (7z)"),
    (b"\x28\xb5\x2f\xfd", "an archive (zstd)"),
)
_ARRAYS: Final = ".npz"
_PICKLES: Final = (
    *(bytes((0x80, protocol)) for protocol in range(2, 6)),
    # The oldest protocols are text: a name to import, or a list or dictionary on the stack.
    *(b"cos\n", b"cnt\n", b"cposix\n", b"csys\n", b"csubprocess\n", b"c__builtin__\n"),
    *(b"cbuiltins\n", b"(dp", b"(lp", b"(cos\n", b"(S'", b"(cposix\n"),
)
_PE: Final = 0x3C


def foreign_content(path: Path) -> str | None:
    """What the file holds, if that may not be in a bundle; raises OSError where it is gone."""
    descriptor = os.open(path, _READ)
    try:
        size = os.fstat(descriptor).st_size
        head = os.pread(descriptor, _HEAD, 0)
        last = os.pread(descriptor, 1, size - 1) if size else b""
        for start, kind in _KINDS:
            if head.startswith(start) and not (path.suffix == _ARRAYS and start[:2] == b"PK"):
                return kind
        # By its start and its end: raw weights may begin with any two bytes.
        if head.startswith(_PICKLES) and last == b".":
            return "a pickle"
        return "a program or library (PE)" if _is_pe(descriptor, head) else None
    finally:
        os.close(descriptor)


def _is_pe(descriptor: int, head: bytes) -> bool:
    if not head.startswith(b"MZ") or len(head) < _HEAD:
        return False
    offset = int.from_bytes(head[_PE : _PE + 4], "little")
    return os.pread(descriptor, 4, offset) == b"PE\x00\x00"
