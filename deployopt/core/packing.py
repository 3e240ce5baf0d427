"""What `pack` and `unpack` did."""

import msgspec


class PackResult(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A bundle that became one file, or came out of one; every byte was compared."""

    schema_version: int = 1
    archive: str
    bundle: str
    name: str
    bundle_digest: str
    files: int
    size_bytes: int
    signed: bool
    """Whether it has a signature; `verify --key` says whose."""
    exit_code: int = 0
