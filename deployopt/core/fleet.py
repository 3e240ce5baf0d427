"""The file of a fleet, as a person writes it: devices that measure, by the target that they are.

In: tables that were read. Out: a record, its names checked. Whether a device answers is asked by
`pipeline/matrix/fleet.py`.
"""

import msgspec

from deployopt.core.errors import UsageError
from deployopt.core.explain import nearest_word
from deployopt.core.matrix_file import Label, Name
from deployopt.core.measurement import Machine


class FleetDevice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One board."""

    name: Name
    address: str
    """`ssh://[user@]host[:port]`."""
    target: str
    """The name of the profile that it is: cells of that target are measured by it."""
    labels: tuple[Label, ...] = ()
    """Words of one's own; a target of the matrix may ask for devices that have some."""


class Board(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A device of the fleet that one call holds, and what it was when it was looked at."""

    name: str
    address: str
    pools: tuple[str, ...]
    """The kinds of board that it is one of."""
    claim: str
    """What whoever measures there shows to be let in."""
    machine: Machine

    def is_like(self, other: Machine) -> bool:
        """Whether what is built for that machine may be measured on this one as well."""
        return _lasting(self.machine) == _lasting(other)


def _lasting(machine: Machine) -> Machine:
    """Without what a setting, an update, or another start of the machine changes."""
    return msgspec.structs.replace(
        machine, governor=None, boost=None, frequency_max_mhz=None, kernel="", python=""
    )


class FleetFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The devices that a matrix may measure on."""

    device: tuple[FleetDevice, ...] = ()


def check_devices(file: FleetFile, addresses: tuple[str, ...], where: str) -> None:
    """Refuse a fleet of nothing, and a device that is claimed twice; `addresses` in one form.

    Raises:
        UsageError: says which.
    """
    if not file.device:
        raise UsageError(f"{where}: there is no [[device]]. Add one: name, address, target.")
    names: set[str] = set()
    places: dict[str, str] = {}
    for device, address in zip(file.device, addresses, strict=True):
        if device.name in names:
            raise UsageError(
                f"{where}: two [[device]] are called {device.name!r}. Rename one of them."
            )
        names.add(device.name)
        other = places.setdefault(address, device.name)
        if other != device.name:
            raise UsageError(
                f"{where}: the device {address} is claimed twice: as {other} and as {device.name}. "
                "Take one of them out."
            )


def check_targets(file: FleetFile, known: tuple[str, ...], where: str) -> None:
    """Refuse a device of a target that is neither shipped nor in the matrix; raises UsageError."""
    for device in file.device:
        if device.target not in known:
            nearest = nearest_word(device.target, known)
            hint = f" Did you mean {nearest}?" if nearest else ""
            raise UsageError(
                f"{where}: device {device.name}: there is no target {device.target!r}: it is no "
                f"shipped profile's name, and none of the matrix's.{hint}"
            )
