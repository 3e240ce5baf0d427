"""Started in the emulated system: imports what a device needs and says what it found.

Prints one line of JSON, the record `Facts`, on stdout.
"""

import platform
import sys
from importlib import import_module
from typing import Final

import msgspec

from deployopt.core.codec import encode_json
from deployopt.core.measurement import Machine

MODULES: Final = (
    *("numpy", "onnxruntime", "psutil", "tokenizers", "msgspec", "typer", "rich"),
    *("deployopt", "deployopt.device.verify", "deployopt.device.run", "deployopt.cli.main"),
)


class Facts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What there is."""

    python: str
    imported: tuple[str, ...]
    machine: Machine


def main() -> None:
    """Import, describe, print."""
    for name in MODULES:
        import_module(name)
    from deployopt.device.machine import describe_machine

    facts = Facts(python=platform.python_version(), imported=MODULES, machine=describe_machine())
    sys.stdout.write(f"{encode_json(facts).decode()}\n")


if __name__ == "__main__":
    main()
