"""An earlier result of emulation, read from the JSON that the command printed.

Refuses what is not one, and what a newer version wrote.
"""

from pathlib import Path

import msgspec

from deployopt.core.codec import decode_json
from deployopt.core.emulation import SCHEMA_VERSION, EmulateResult
from deployopt.core.errors import IntegrityError, UsageError
from deployopt.store.faults import storage_errors


class _Versioned(msgspec.Struct, frozen=True, kw_only=True):
    schema_version: int


def read_result(path: Path) -> EmulateResult:
    """The record in a file.

    Raises:
        UsageError: there is no such file.
        IntegrityError: it holds something else, or another version's record.
    """
    with storage_errors("reading", path):
        try:
            data = path.read_bytes()
        except (FileNotFoundError, IsADirectoryError) as error:
            raise UsageError(
                f"{path} is not a file. Write one with: deployopt emulate BUNDLE --json > FILE"
            ) from error
    version = decode_json(data, _Versioned, where=str(path)).schema_version
    if version != SCHEMA_VERSION:
        raise IntegrityError(
            f"{path} has schema version {version}, and this deployopt reads {SCHEMA_VERSION}. Make "
            "it again with: deployopt emulate BUNDLE --json"
        )
    return decode_json(data, EmulateResult, where=str(path))
