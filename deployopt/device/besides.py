"""What `verify` measures besides its verdict: larger requests, and copies at once.

In: a checked bundle on a device, what is wanted. Out: figures, and the trials under them. Refuses
what the model is not asked, or there is no room for, before anything is measured.
"""

import msgspec

from deployopt.core.errors import UsageError
from deployopt.core.measurement import Trial
from deployopt.core.result import BatchSweep, LoadFigures
from deployopt.core.watching import Watcher
from deployopt.device.batches import check_batches, sweep_batches
from deployopt.device.bundle_measuring import Asked, Bench
from deployopt.device.bundle_reader import OpenBundle
from deployopt.device.copies import ask_copies, check_copies
from deployopt.device.device import Device


class Besides(msgspec.Struct, frozen=True, kw_only=True):
    """Examples at a time, from small to large, and copies of the model; nothing where empty."""

    batches: tuple[int, ...] = ()
    copies: int | None = None


class FoundBesides(msgspec.Struct, frozen=True, kw_only=True):
    """Figures for a person, and what they are made of."""

    sweep: BatchSweep | None = None
    swept: tuple[Trial, ...] = ()
    copies: LoadFigures | None = None
    crowd: Trial | None = None


def check_besides(wanted: Besides, bundle: OpenBundle, device: Device) -> None:
    """Raise UsageError where it cannot be measured there."""
    interface = bundle.manifest.interface
    check_batches(wanted.batches, interface)
    asked = bool(wanted.batches) or wanted.copies is not None
    if asked and bundle.gate is None and not interface.generates:
        raise UsageError(
            "The bundle holds no gate split, so that there is nothing to ask with for --batches or "
            "--copies. Build it with data."
        )
    if wanted.copies is not None:
        check_copies(wanted.copies, interface, bundle.target, device.machine)


def measure_besides(
    bench: Bench, asked: Asked, wanted: Besides, watcher: Watcher, seed: int
) -> FoundBesides:
    """All that is wanted, one thing after another.

    Raises:
        IntegrityError: a file is not what it should be.
    """
    found = FoundBesides()
    if wanted.batches:
        watcher.stage("Batches", quiet=True)
        sweep, swept = sweep_batches(bench, wanted.batches, watcher, seed)
        found = msgspec.structs.replace(found, sweep=sweep, swept=swept)
    if wanted.copies is not None:
        watcher.stage("Copies", quiet=True)
        copies, crowd = ask_copies(bench, asked, wanted.copies, watcher, seed)
        found = msgspec.structs.replace(found, copies=copies, crowd=crowd)
    return found
