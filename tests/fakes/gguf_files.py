"""GGUF files as bytes: whole, or with one thing wrong."""

import struct
from collections.abc import Sequence

TEXT = 8
UINT32 = 4


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def key(name: str, kind: int, value: bytes) -> bytes:
    return text(name) + struct.pack("<I", kind) + value


def tensor(name: str, shape: Sequence[int], kind: int = 0, offset: int = 0) -> bytes:
    sizes = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
    return text(name) + sizes + struct.pack("<IQ", kind, offset)


def gguf(
    keys: Sequence[bytes],
    tensors: Sequence[bytes],
    data: bytes,
    *,
    version: int = 3,
    counts: tuple[int, int] | None = None,
) -> bytes:
    """A file of these parts; `counts` (tensors, keys) may lie."""
    first, second = counts or (len(tensors), len(keys))
    head = b"GGUF" + struct.pack("<IQQ", version, first, second) + b"".join([*keys, *tensors])
    return head + b"\0" * (-len(head) % 32) + data


def small(data: bytes = b"\0" * 4096) -> bytes:
    """1,024 weights of float32."""
    architecture = key("general.architecture", TEXT, text("llama"))
    return gguf([architecture], [tensor("token_embd.weight", (32, 32))], data)
