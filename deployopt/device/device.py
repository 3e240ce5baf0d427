"""A machine that runs models: this one, or one that is reached from here.

In: a request with paths of this machine. Out: the reply of a fresh child process there. A device
that is elsewhere sends the files that a request names, and brings back what it writes; so the same
rounds, the same accuracy run and the same gate serve every device. Requests that are to be compared
are given together, and their children take turns.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from deployopt.core.errors import DeviceError
from deployopt.core.measurement import Machine
from deployopt.device.in_turns import ask_in_turns
from deployopt.device.machine import describe_machine, limits_here
from deployopt.device.protocol import Evaluated, Request, Timed, Timing, Working
from deployopt.device.setup import Limits
from deployopt.device.supervise import ask

Signs = Callable[[Working], None]


def unheard(_sign: Working) -> None:
    """No one listens to signs of life."""


class Device(Protocol):
    """What measuring needs of a machine."""

    @property
    def where(self) -> str:
        """For people: `this machine`, or an address."""
        ...

    @property
    def machine(self) -> Machine:
        """What it is; the same for as long as it is held."""
        ...

    def limits(self) -> Limits:
        """What a child may take there now."""
        ...

    def ask(self, request: Request, limits: Limits, signs: Signs = unheard) -> Timed | Evaluated:
        """Give the request to a fresh child there and wait for its answer.

        Raises:
            DeviceError: it failed, died, or passed a limit.
            UnreachableError: the device cannot be reached, or was lost.
            IntegrityError: it found a file that is not what it should be.
            StorageError: it could not write its answers.
            UsageError: it found examples that are not what the model takes.
        """
        ...

    def ask_in_turns(
        self, requests: Sequence[Timing], limits: Limits, signs: Signs = unheard
    ) -> tuple[Timed | DeviceError, ...]:
        """Give each request to a fresh child there, and let them work in turns of `turn_s`.

        A child that fails leaves its DeviceError in its place; the other errors are raised.
        """
        ...


def one_by_one(
    device: Device, requests: Sequence[Timing], limits: Limits, signs: Signs = unheard
) -> tuple[Timed | DeviceError, ...]:
    """Each request to a fresh child, the next when the one before has ended; as `ask_in_turns`."""
    found: list[Timed | DeviceError] = []
    for request in requests:
        try:
            reply = device.ask(msgspec.structs.replace(request, turn_s=None), limits, signs)
        except DeviceError as error:
            found.append(error)
            continue
        wrong = DeviceError("The model's process answered another question.")
        found.append(reply if isinstance(reply, Timed) else wrong)
    return tuple(found)


def address_of(device: Device) -> str | None:
    """Where it is reached; None of this machine."""
    return None if isinstance(device, ThisMachine) else device.where


class ThisMachine:
    """The machine that this process runs on."""

    def __init__(self) -> None:
        self._machine = describe_machine()

    @property
    def where(self) -> str:
        """For people."""
        return "this machine"

    @property
    def machine(self) -> Machine:
        """As it was when this object was made."""
        return self._machine

    def limits(self) -> Limits:
        """By the memory that is free now."""
        return limits_here()

    def ask(self, request: Request, limits: Limits, signs: Signs = unheard) -> Timed | Evaluated:
        """In a child of this process; errors as `supervise.ask` has them."""
        return ask(request, limits, signs)

    def ask_in_turns(
        self, requests: Sequence[Timing], limits: Limits, signs: Signs = unheard
    ) -> tuple[Timed | DeviceError, ...]:
        """In children of this process."""
        return ask_in_turns(requests, limits, signs)
