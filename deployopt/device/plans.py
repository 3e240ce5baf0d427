"""The plan of a graph for the card here: TensorRT builds it once, and this store keeps it.

In: a setup whose model is a graph of a bundle, every byte of which was checked; the library; the
card. Out: a plan and its listing. A plan is native code: it is taken only from where this store
itself put it, for just this graph, library, card, driver and options; never from a bundle. Anything
else is built again, by a process of its own. Refuses with a paragraph what TensorRT does not take,
and cards and machines with too little memory for the build.
"""

import hashlib
import os
import platform
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.codec import decode_json, encode_json
from deployopt.core.engine import (
    BUILDERS,
    ENGINE_FILE,
    TIMINGS_FILE,
    EngineListing,
    EngineOptions,
    workspace_of,
)
from deployopt.core.errors import DeviceError, StepError
from deployopt.core.units import Dimension, show_quantity
from deployopt.device.cuda_driver import Card
from deployopt.device.setup import Setup
from deployopt.store.built import keep_built, read_built
from deployopt.store.digests import folder_digest
from deployopt.store.locks import hold, lock_file
from deployopt.store.staging import scratch_folder, staged_folder, sweep
from deployopt.store.writing import make_folders, write_new_file

# While kernels are timed the card holds the weights as they came and as a kernel wants them.
_COPIES: Final = 2
_BASE_BYTES: Final = 512 * 2**20
_RECORD: Final = ".record"


class PlanKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that a plan depends on."""

    graph: str
    """Digest of the graph's folder: its weights may lie beside it, and nowhere else."""
    version: str
    """Of TensorRT."""
    card: Card
    options: EngineOptions

    @property
    def name(self) -> str:
        """64 hex digits."""
        return hashlib.sha256(encode_json(self)).hexdigest()


class PlanRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is kept beside a plan."""

    key: PlanKey
    sha256: str
    listing: EngineListing


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Native code, and what its builder says of it."""

    data: bytes
    listing: EngineListing


def plan_for(setup: Setup, version: str, card: Card, free_bytes: int | None = None) -> Plan:
    """The plan that was kept, or a new one.

    Raises:
        DeviceError: TensorRT does not take the graph, or there is too little memory for the build.
        StorageError: there is no room to keep it.
    """
    key = PlanKey(
        graph=folder_digest(setup.model.parent),
        version=version,
        card=card,
        options=_options(setup, card),
    )
    folder = setup.engines
    if folder is None:
        with staged_folder(scratch_folder()) as work:
            return _built(setup, key, work, free_bytes)
    make_folders(folder)
    with ExitStack() as stack:
        held = hold(folder)  # a collector leaves it
        if held is not None:
            stack.callback(os.close, held)
        # Of several processes one builds, and the others take what it built.
        stack.enter_context(lock_file(folder / f"{key.name}.lock", timeout_s=None))
        return _kept(folder, key) or _new(setup, key, folder, free_bytes)


def _options(setup: Setup, card: Card) -> EngineOptions:
    profile = setup.session.profile
    return EngineOptions(
        compute_capability=card.compute_capability,
        platform=platform.machine(),
        profile=() if profile is msgspec.UNSET else profile,
        workspace_bytes=workspace_of(card.memory_bytes),
        tf32=setup.session.tf32 is True,
    )


def _kept(folder: Path, key: PlanKey) -> Plan | None:
    asked = encode_json(key)
    told = read_built(folder, f"{key.name}{_RECORD}", asked)
    data = read_built(folder, key.name, asked)
    if told is None or data is None:
        return None
    record = decode_json(told, PlanRecord, where=_RECORD)
    if (record.key, record.sha256) != (key, hashlib.sha256(data).hexdigest()):
        return None  # of two builds, of which one was cut off
    return Plan(data=data, listing=record.listing)


def _new(setup: Setup, key: PlanKey, folder: Path, free_bytes: int | None) -> Plan:
    asked = encode_json(key)
    # Kernels' times depend on the library, the card and the driver, whichever the graph is.
    timed_on = encode_json((key.version, key.card))
    timings = f"timings-{hashlib.sha256(timed_on).hexdigest()}"
    sweep(folder)
    with staged_folder(folder) as work:
        known = read_built(folder, timings, timed_on)
        if known is not None:
            write_new_file(work / TIMINGS_FILE, known)
        made = _built(setup, key, work, free_bytes)
        if (work / TIMINGS_FILE).is_file():
            keep_built(folder, timings, timed_on, (work / TIMINGS_FILE).read_bytes())
    record = PlanRecord(key=key, sha256=hashlib.sha256(made.data).hexdigest(), listing=made.listing)
    keep_built(folder, key.name, asked, made.data)
    keep_built(folder, f"{key.name}{_RECORD}", asked, encode_json(record))
    return made


def _built(setup: Setup, key: PlanKey, work: Path, free_bytes: int | None) -> Plan:
    # What builds is imported where something is built, and nowhere else on the device.
    from deployopt.engines.building import build_engine

    _require_room(setup.model, key.card, free_bytes)
    try:
        built = build_engine(
            setup.model, work, key.options, builder="tensorrt", threads=setup.threads
        )
    except StepError as error:
        raise DeviceError(str(error)) from error
    if built.listing.version != key.version:
        raise DeviceError(
            f"TensorRT {built.listing.version} built the plan, and {key.version} was to open it: "
            f"two of them are installed here. Keep one {BUILDERS['tensorrt'].module} package."
        )
    return Plan(data=(work / ENGINE_FILE).read_bytes(), listing=built.listing)


def _require_room(graph: Path, card: Card, free_bytes: int | None) -> None:
    """Raise DeviceError where the card surely has too little memory."""
    size = sum(path.stat().st_size for path in graph.parent.iterdir() if path.is_file())
    needed = _COPIES * size + _BASE_BYTES
    free = card.memory_bytes if free_bytes is None else free_bytes
    if free >= needed:
        return
    want, have, whole = (
        show_quantity(amount, Dimension.SIZE) for amount in (needed, free, card.memory_bytes)
    )
    raise DeviceError(
        f"Building a plan of this graph takes about {want} of the card's memory, and {have} of "
        f"{whole} are free on the {card.name}. See with nvidia-smi who has the rest, or take a "
        "smaller model."
    )
