"""A fleet of devices for one call: read, held, looked at, and given to the cells that need them.

In: the fleet's file and a matrix's cells. Out: cells that know which kind of board measures them,
and an executor whose boards are held for this call alone. A board that cannot be reached, is used
by another call or fails its self-check is taken out, and said; the call goes on without it.
"""

import queue
import secrets
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.codec import decode_toml
from deployopt.core.diagnosis import Finding, State
from deployopt.core.errors import DeployoptError, UnreachableError, UsageError
from deployopt.core.fleet import Board, FleetDevice, FleetFile, check_devices, check_targets
from deployopt.core.matrix import CellRequest, CellResult, MatrixWatcher
from deployopt.core.matrix_file import MatrixFile
from deployopt.core.measurement import Machine
from deployopt.core.target import Target
from deployopt.core.watching import SILENT
from deployopt.pipeline.matrix.boards import NO_BOARDS, Boards
from deployopt.pipeline.matrix.executor import Executor
from deployopt.pipeline.reaching import reached, runtimes_here
from deployopt.planning.targets import target_names
from deployopt.planning.toml_files import toml_bytes
from deployopt.remote.address import parse_address
from deployopt.remote.holding import Hold
from deployopt.store.keys import cache_key

_AND: Final = " + "
_LASTING: Final = ("heat", "throttling", "memory", "disk")
"""What a board does not measure with; what else the check-up warns of voids rounds by itself."""

_MEND: Final = {"disk": "free some space there"}
"""Where the check-up speaks of commands that a board does not have."""


class _Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A device that cells of this call need."""

    device: FleetDevice
    address: str
    pools: tuple[str, ...]
    target: Target


class _Looked(msgspec.Struct, frozen=True, kw_only=True):
    """What became of reaching a device."""

    wanted: _Wanted
    hold: Hold | None = None
    machine: Machine | None = None
    findings: tuple[Finding, ...] = ()
    error: Exception | None = None


def read_fleet(path: Path) -> FleetFile:
    """The file, its names and addresses checked; raises UsageError."""
    where = str(path)
    data = toml_bytes(path, "fleet file", "docs/fleet.md has one to begin with.")
    file = decode_toml(data, FleetFile, where=where)
    check_devices(file, tuple(_address(device, where) for device in file.device), where)
    return file


def with_pools(
    cells: Sequence[CellRequest], matrix: MatrixFile, fleet: FleetFile, where: str
) -> tuple[CellRequest, ...]:
    """Each cell with the kind of board that measures it; those whose target has none stay here.

    Raises:
        UsageError: a device is of an unknown target, or no device has the labels that are asked.
    """
    known = (*target_names(), *(cell.target.name for cell in cells))
    check_targets(fleet, known, where)
    labels = {entry.name: entry.labels for entry in matrix.target}
    return tuple(_with_pool(cell, labels[cell.name.target], fleet, where) for cell in cells)


def check_labels(matrix: MatrixFile, where: str) -> None:
    """Without a fleet nothing can have labels; raises UsageError."""
    for entry in matrix.target:
        if entry.labels:
            raise UsageError(
                f"{where}: target {entry.name}: labels choose devices of a fleet. Name its file "
                "with --fleet, or take them out."
            )


class OnFleet:
    """An executor whose cells are measured by the fleet's boards."""

    def __init__(self, executor: Executor, fleet: FleetFile) -> None:
        self._executor = executor
        self._fleet = fleet
        self.boards: Boards = NO_BOARDS

    @property
    def jobs(self) -> int:
        """The executor's own."""
        return self._executor.jobs

    def results(
        self, cells: Sequence[CellRequest], watcher: MatrixWatcher
    ) -> Generator[CellResult, None, None]:
        """As they come; the boards are held from the first to the last."""
        with held_boards(cells, self._fleet, watcher) as boards:
            self._executor.boards = boards
            yield from self._executor.results(cells, watcher)


@contextmanager
def held_boards(
    cells: Sequence[CellRequest], fleet: FleetFile, watcher: MatrixWatcher
) -> Iterator[Boards]:
    """The boards that these cells need, each held for this call and looked at.

    Raises:
        UsageError: a device is of another architecture, or stands there under two names.
    """
    targets = {cell.pool: cell.target for cell in cells if cell.pool is not None}
    wanted = [one for device in fleet.device if (one := _wanted(device, targets)) is not None]
    token = secrets.token_hex(32)
    with ExitStack() as stack:
        looked = list(_all_looked_at(wanted, token, watcher, stack))
        found = [
            (_board(one.wanted, token, one.machine), one.hold)
            for one in looked
            if one.hold is not None and one.machine is not None and one.error is None
        ]
        boards = Boards(found)
        for failed in looked:
            if failed.error is not None:
                name = failed.wanted.device.name
                boards.take_out(name, failed.wanted.pools, str(failed.error))
                watcher.note(name, f"It is taken out of the fleet: {failed.error}")
        yield boards


def _all_looked_at(
    wanted: Sequence[_Wanted], token: str, watcher: MatrixWatcher, stack: ExitStack
) -> Iterator[_Looked]:
    """In the order of the file; all at the same time, for each takes seconds."""
    answers: queue.Queue[_Looked] = queue.Queue()
    over = threading.Event()
    stack.callback(_let_go, answers, over)
    for one in wanted:
        # A daemon: a device that does not answer must not keep a call that is stopped.
        threading.Thread(target=_look_at, args=(one, token, answers, over), daemon=True).start()
    found: dict[str, _Looked] = {}
    while len(found) < len(wanted):
        try:
            looked = answers.get(timeout=0.2)
        except queue.Empty:
            watcher.tick()
            continue
        found[looked.wanted.device.name] = looked
        if looked.hold is not None:
            stack.callback(looked.hold.close)
        _hear(looked, watcher)
    yield from (found[one.device.name] for one in wanted)


def _hear(looked: _Looked, watcher: MatrixWatcher) -> None:
    """Pass on what a board warns of; raise what no other board can make good."""
    name, error = looked.wanted.device.name, looked.error
    if isinstance(error, UsageError):
        raise UsageError(f"Device {name}: {error}")
    if not isinstance(error, DeployoptError | None):
        raise error  # of this machine's disk, or a fault
    for finding in looked.findings:
        if finding.state is State.WARNING and finding.topic not in _LASTING:
            watcher.note(name, f"{finding.topic}: {finding.says}.")


def _let_go(answers: "queue.Queue[_Looked]", over: threading.Event) -> None:
    """Nobody takes an answer any more: what was held when the call ended is not kept by it."""
    over.set()
    with suppress(queue.Empty):
        while True:
            looked = answers.get_nowait()
            if looked.hold is not None:
                looked.hold.close()


def _look_at(
    one: _Wanted, token: str, answers: "queue.Queue[_Looked]", over: threading.Event
) -> None:
    """Hold it, furnish it, look at it."""
    hold: Hold | None = None
    machine: Machine | None = None
    findings: tuple[Finding, ...] = ()
    error: Exception | None = None
    try:
        hold = Hold(one.address, token, arch=one.target.hardware.arch)
        runtimes = runtimes_here(one.target)
        with reached(one.address, one.target, runtimes, SILENT, token) as device:
            if device is not None:
                machine, findings = device.machine, device.check_up()
        error = _failing(findings)
    except Exception as raised:  # noqa: BLE001 -- raised where answers are heard
        error = raised
    looked = _Looked(wanted=one, hold=hold, machine=machine, findings=findings, error=error)
    answers.put(looked)
    if over.is_set():
        _let_go(answers, over)


def _failing(findings: Sequence[Finding]) -> UnreachableError | None:
    """Why a board with these findings measures nothing."""
    bad = [
        one
        for one in findings
        if one.state is State.BROKEN or (one.state is State.WARNING and one.topic in _LASTING)
    ]
    if not bad:
        return None
    said = "; ".join(f"{one.topic}: {one.says}" for one in bad)
    mend = _MEND.get(bad[0].topic, bad[0].mend)
    how = f" {mend[0].upper()}{mend[1:]}." if mend else ""
    return UnreachableError(f"it failed its self-check ({said}).{how}")


def _wanted(device: FleetDevice, targets: Mapping[str, Target]) -> _Wanted | None:
    pools = tuple(pool for pool, target in targets.items() if _is_of(device, pool, target))
    if not pools:
        return None
    return _Wanted(
        device=device,
        address=_address(device, device.name),
        pools=pools,
        target=targets[pools[0]],
    )


def _is_of(device: FleetDevice, pool: str, target: Target) -> bool:
    _, *labels = pool.split(_AND)
    return device.target == target.name and set(labels) <= set(device.labels)


def _board(one: _Wanted, token: str, machine: Machine) -> Board:
    return Board(
        name=one.device.name,
        address=one.address,
        pools=one.pools,
        claim=token,
        machine=machine,
    )


def _with_pool(
    cell: CellRequest, labels: tuple[str, ...], fleet: FleetFile, where: str
) -> CellRequest:
    target = cell.target
    if cell.device is not None:
        return cell
    pool = _AND.join([target.name, *sorted(set(labels))])
    if any(_is_of(device, pool, target) for device in fleet.device):
        key = cache_key({"cell": cell.key, "pool": pool})
        return msgspec.structs.replace(cell, pool=pool, key=key)
    if labels:
        raise UsageError(
            f"{where}: no device is a {target.name} with all of the labels {', '.join(labels)}, "
            f"which target {cell.name.target} of the matrix asks for."
        )
    return cell


def _address(device: FleetDevice, where: str) -> str:
    try:
        return str(parse_address(device.address))
    except UsageError as error:
        raise UsageError(f"{where}: device {device.name}: {error}") from error
