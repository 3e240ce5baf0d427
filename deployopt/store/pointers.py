"""From a key to an object: what `keys/<key>` says inside its seal."""

import msgspec


class Pointer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The object that a key stands for, and JSON about how it came to be."""

    digest: str
    meta: msgspec.Raw


def read_pointer(data: bytes) -> Pointer:
    """The pointer that `write_pointer` wrote."""
    pointer = msgspec.json.decode(data, type=Pointer)
    # A Raw keeps the whole message alive unless it is copied.
    return Pointer(digest=pointer.digest, meta=pointer.meta.copy())


def write_pointer(pointer: Pointer) -> bytes:
    """As bytes."""
    return msgspec.json.encode(pointer)


def checked_meta(meta: bytes) -> msgspec.Raw:
    """`meta`, if it is JSON; ValueError otherwise, as it would make the pointer unreadable."""
    try:
        msgspec.json.decode(meta)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError(f"meta is not JSON: {error}") from error
    return msgspec.Raw(meta)
