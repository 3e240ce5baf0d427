"""What `pip install deployopt` asks for, as the installed package declares it.

In: the package's metadata. Out: one requirement a line; a name may have a line for older and one
for newer Pythons. The extras' are left out. Nothing where deployopt runs without being installed.
"""

import re
from importlib import metadata
from typing import Final

import msgspec

PACKAGE: Final = "deployopt"
_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")


class Requirement(msgspec.Struct, frozen=True, kw_only=True):
    """One line, such as `numpy>=1.26,<3; python_version < '3.13'`."""

    name: str
    text: str

    @property
    def versions(self) -> str:
        """All that follows the name."""
        return self.text.removeprefix(self.name).strip()


def requirements() -> tuple[Requirement, ...]:
    """In the order in which they are declared."""
    try:
        declared = metadata.requires(PACKAGE) or []
    except metadata.PackageNotFoundError:
        return ()
    named = ((_NAME.match(text), text) for text in declared if "extra ==" not in text)
    return tuple(Requirement(name=name[0], text=text) for name, text in named if name)
