"""Copies of a bundle's model at work at once: one a card, or one for every so many cores.

In: a checked bundle on a device, how many. Out: one Trial of all of them together. Each copy is a
process of its own with its own card or cores, made ready by itself; then all begin at the same
moment. Refuses more copies than there are cards or cores for, and models that are asked in a way of
their own.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from deployopt.core.errors import DeviceError, UsageError
from deployopt.core.interface import Interface
from deployopt.core.measurement import Machine, Round, Trial
from deployopt.core.result import LoadFigures
from deployopt.core.summaries import load_figures, tail_quantile
from deployopt.core.target import Target
from deployopt.core.watching import Watcher
from deployopt.device.bundle_measuring import MIN_ROUND_S, ROUNDS, Asked, Bench
from deployopt.device.latency import Place, Schedule, prepared_request, requests_per_round
from deployopt.device.protocol import TimeRequest
from deployopt.device.setup import Arm, Limits, threads_on
from deployopt.store.staging import staged_folder

COPIES_MIN: Final = 2
COPIES_MAX: Final = 64
_TURN_S: Final = 86_400.0
"""Longer than any round: all copies have one turn."""


def check_copies(copies: int, interface: Interface, target: Target, machine: Machine) -> None:
    """Refuse what there is no room for.

    Raises:
        UsageError: fewer than two, more than there are cards or cores for, or a model that is not
            asked so.
    """
    if not COPIES_MIN <= copies <= COPIES_MAX:
        raise UsageError(
            f"{copies} copies cannot be asked at once: give {COPIES_MIN} to {COPIES_MAX}."
        )
    if interface.generates or interface.draws:
        raise UsageError("--copies is for models that answer once; leave it for this one.")
    if target.hardware.gpu is not None:
        cards = sum(name == (target.match.gpu or name) for name in machine.gpus)
        if copies > cards:
            raise UsageError(
                f"{copies} copies want a card each, and this machine has {cards} of the target's."
            )
        return
    threads, cores = threads_on(machine, target.runtime.threads), len(machine.affinity)
    if copies * threads > cores:
        raise UsageError(
            f"{copies} copies with {threads} threads each want {copies * threads} cores, and this "
            f"machine gives {cores}: what they did would be of fewer. Take fewer copies, or a "
            "target file with fewer `threads`."
        )


def ask_copies(
    bench: Bench, asked: Asked, copies: int, watcher: Watcher, seed: int = 0
) -> tuple[LoadFigures, Trial]:
    """Rounds of all copies at once, with the verdict's requests, one after another in each.

    Raises:
        IntegrityError: a file is not what it should be.
    """
    budgets = bench.latency_budgets
    quantile = tail_quantile(bench.bundle.budgets)
    limits = bench.device.limits()
    schedule = Schedule(
        requests=requests_per_round([quantile], ROUNDS),
        min_round_s=MIN_ROUND_S,
        batch=bench.bundle.target.workload.batch,
        seed=seed,
    )
    setup = bench.bundle.setup_on(bench.machine)
    place = Place(device=bench.device, evidence=bench.evidence, workdir=bench.workdir)
    rounds: list[Round] = []
    failure: str | None = None
    with staged_folder(bench.workdir.absolute()) as folder:
        arm = Arm(setup=setup, inputs=asked.inputs)
        one = prepared_request(arm, schedule, place, folder / "copies", _TURN_S)
        if not isinstance(one, TimeRequest):
            raise UsageError("A language model is not asked in copies.")
        for number in range(1, ROUNDS + 1):
            watcher.advance((number - 1) / ROUNDS, f"round {number} of {ROUNDS}")
            seeded = msgspec.structs.replace(one, seed=seed + 1000 * number, at_once=True)
            replies = bench.device.ask_in_turns(
                placed(seeded, copies, bench.machine), _shared(limits, copies)
            )
            found = [reply.round for reply in replies if not isinstance(reply, DeviceError)]
            failure = next((str(r) for r in replies if isinstance(r, DeviceError)), None)
            if failure is None and any(one.mismatched for one in found):
                failure = "At once the copies answer otherwise than in the accuracy run."
            if failure is not None:
                break
            rounds.append(together(found))
    trial = Trial(
        artifact=setup.artifact,
        machine=bench.machine,
        evidence=bench.evidence,
        threads=setup.threads,
        batch=schedule.batch,
        rounds=() if failure is not None else tuple(rounds),
        failure=failure,
    )
    return load_figures(trial, budgets, quantile, copies), trial


def placed(request: TimeRequest, copies: int, machine: Machine) -> tuple[TimeRequest, ...]:
    """A request a copy: each with its own card, or its own cores from the last ones down."""
    setup, found = request.setup, []
    for at in range(copies):
        if setup.provider == "cpu":
            cores = machine.affinity[::-1][at * setup.threads : (at + 1) * setup.threads]
            own, where = setup, tuple(sorted(cores))
        else:
            own, where = msgspec.structs.replace(setup, card_at=at), ()
        seed = request.seed + at
        found.append(msgspec.structs.replace(request, setup=own, cores=where, seed=seed))
    return tuple(found)


def together(rounds: Sequence[Round]) -> Round:
    """One round of all copies: every request, their rates added up, their memory too.

    Memory on cards is that of the fullest one. Void for one is void for all.
    """
    requests = sum(len(one.samples_s) for one in rounds)
    rate = sum(one.per_second(1) or 0.0 for one in rounds)
    fullest = max(rounds, key=lambda one: one.memory_bytes or 0)
    return msgspec.structs.replace(
        fullest,
        samples_s=tuple(s for one in rounds for s in one.samples_s),
        elapsed_s=requests / rate if rate > 0 else None,
        peak_rss_bytes=sum(one.peak_rss_bytes for one in rounds),
        base_rss_bytes=sum(one.base_rss_bytes for one in rounds),
        compared=sum(one.compared for one in rounds),
        # A package's counter would count all copies in each of them.
        energy_j=None,
        void=next((one.void for one in rounds if one.void is not None), None),
    )


def _shared(limits: Limits, copies: int) -> Limits:
    """What each may take of the memory that is free."""
    if limits.memory_bytes is None:
        return limits
    return msgspec.structs.replace(limits, memory_bytes=limits.memory_bytes // copies)
