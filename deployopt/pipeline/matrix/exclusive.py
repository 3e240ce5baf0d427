"""Builds beside each other, measurements alone: what a cell does to the leases of its machines.

A cell holds the building machine's lease shared while it works, and alone from the stage in which
something is timed until the next one. Its watcher knows when such a stage begins; its device makes
sure that no request is ever timed without the lease. At the beginning of every other stage it lets
those go first who wait to measure.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from typing import Final

from deployopt.core.errors import DeviceError
from deployopt.core.measurement import Machine
from deployopt.core.watching import Watcher
from deployopt.device.device import Device, Signs, ThisMachine, unheard
from deployopt.device.protocol import Asking, Evaluated, Request, Timed, Timing
from deployopt.device.setup import Limits
from deployopt.store.leases import Held, Lease

_UNSAFE: Final = re.compile(r"[^a-z0-9._-]+")
_SHOWN: Final = 40


def place_name(address: str) -> str:
    """The lease of a device elsewhere: its address, readable, and a digest that tells it apart."""
    digest = hashlib.sha256(address.encode()).hexdigest()[:16]
    return f"{_UNSAFE.sub('-', address.casefold())[:_SHOWN].strip('-.')}-{digest}"


class LeasedStages:
    """A watcher that holds `lease` as the stage asks for, and passes everything on.

    `builder` is the lease of this machine where another one measures.
    """

    def __init__(
        self,
        watcher: Watcher,
        lease: Lease,
        waits: Callable[[], None],
        builder: Lease | None = None,
    ) -> None:
        self._watcher = watcher
        self._lease = lease
        self._builder = builder
        for one in (lease, builder):
            if one is not None:
                one.on_wait = waits

    def stage(self, name: str, total: int | None = None, *, quiet: bool = False) -> None:
        """Alone for what is timed, before its clock runs; else shared again."""
        if quiet:
            self._lease.alone()
        else:
            self._lease.share()
            if self._builder is not None:
                self._builder.share()
        self._watcher.stage(name, total, quiet=quiet)

    def advance(self, share: float, words: str = "") -> None:
        """A share of the current stage is done."""
        self._watcher.advance(share, words)

    def note(self, text: str) -> None:
        """One sentence that stays on the screen."""
        self._watcher.note(text)


class MachineAlone(ThisMachine):
    """This machine, which times nothing unless the lease is held alone."""

    def __init__(self, lease: Lease) -> None:
        super().__init__()
        self._lease = lease

    def ask(self, request: Request, limits: Limits, signs: Signs = unheard) -> Timed | Evaluated:
        """As ThisMachine, the lease held as the request needs it."""
        _hold(self._lease, request)
        return super().ask(request, limits, signs)

    def ask_in_turns(
        self, requests: Sequence[Timing], limits: Limits, signs: Signs = unheard
    ) -> tuple[Timed | DeviceError, ...]:
        """As ThisMachine, alone."""
        self._lease.alone()
        return super().ask_in_turns(requests, limits, signs)


class DeviceAlone:
    """A device elsewhere, with a lease of its own; nobody else of this store uses it meanwhile."""

    def __init__(self, device: Device, lease: Lease) -> None:
        self._device = device
        self._lease = lease

    @property
    def where(self) -> str:
        """For people."""
        return self._device.where

    @property
    def machine(self) -> Machine:
        """What it is."""
        return self._device.machine

    def limits(self) -> Limits:
        """What a child may take there now."""
        return self._device.limits()

    def ask(self, request: Request, limits: Limits, signs: Signs = unheard) -> Timed | Evaluated:
        """As the device, the lease held as the request needs it."""
        _hold(self._lease, request)
        return self._device.ask(request, limits, signs)

    def ask_in_turns(
        self, requests: Sequence[Timing], limits: Limits, signs: Signs = unheard
    ) -> tuple[Timed | DeviceError, ...]:
        """As the device, alone."""
        self._lease.alone()
        return self._device.ask_in_turns(requests, limits, signs)


def _hold(lease: Lease, request: Request) -> None:
    """At least shared for questions whose answers alone count; alone for any other request."""
    if not isinstance(request, Asking):
        lease.alone()
    elif lease.held is Held.NOT:
        lease.share()
