"""What `serve` says when it is ready."""

import msgspec


class ServeResult(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A bundle that answers from now on, until the process is asked to stop."""

    schema_version: int = 1
    url: str
    bundle: str
    name: str
    bundle_digest: str
    outcome: str
    """accepted, provisional, undecided or rejected, when it was built."""
    threads: int
