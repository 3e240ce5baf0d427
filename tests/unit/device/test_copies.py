"""Copies at work at once: for real on this machine's cores, and the rules on made-up rounds."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from deployopt.core.budget import Budget
from deployopt.core.codec import decode_json, encode_pretty
from deployopt.core.errors import DeviceError, UsageError
from deployopt.core.interface import Interface, PromptInputs, Task
from deployopt.core.measurement import CardConditions, Machine, Round
from deployopt.core.target import Target
from deployopt.core.verdict import Outcome
from deployopt.core.watching import SILENT
from deployopt.device import bundle_measuring
from deployopt.device import copies as module
from deployopt.device.besides import Besides
from deployopt.device.bundle_measuring import Asked, Bench
from deployopt.device.bundle_reader import open_bundle
from deployopt.device.copies import ask_copies, check_copies, placed, together
from deployopt.device.device import Signs, unheard
from deployopt.device.machine import describe_machine
from deployopt.device.protocol import Timed, TimeRequest, Timing
from deployopt.device.setup import Limits, Setup, TimingInputs
from deployopt.device.verify import Verification, verify
from deployopt.planning.targets import load_target
from tests.fakes.comparing import one_round
from tests.fakes.devices import MadeUpDevice, idle

Make = Callable[..., Path]
two_cores = pytest.mark.skipif(
    describe_machine().arch != "x86_64" or (os.cpu_count() or 1) < 2,
    reason="the target is x86_64 with two cores",
)
ASKED = Asked(inputs=TimingInputs(feeds=({},)))
LATENCY = Budget(metric="latency_p95", limit=0.05)


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle_measuring, "MIN_ROUND_S", 0.02)
    monkeypatch.setattr(module, "MIN_ROUND_S", 0.02)


@pytest.fixture
def _all_cores() -> Iterator[None]:
    """Tests beside each other have a core each, and two copies want two."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    yield
    os.sched_setaffinity(0, before)


def with_threads(target: Target, threads: int) -> Target:
    runtime = msgspec.structs.replace(target.runtime, threads=threads)
    return msgspec.structs.replace(target, runtime=runtime)


@two_cores
@pytest.mark.usefixtures("_all_cores")
def test_two_copies_work_at_once_here(make_bundle: Make, target: Target, tmp_path: Path) -> None:
    single = encode_pretty(with_threads(target, 1)).decode()
    budgets = encode_pretty((LATENCY,)).decode()
    bundle = make_bundle(**{"target.json": single, "budgets.json": budgets})
    result = verify(bundle, store=tmp_path / "store", besides=Besides(copies=2))
    found = result.copies
    assert found is not None
    assert found.copies == 2
    assert result.written is not None
    kept = decode_json(Path(result.written).read_bytes(), Verification, where="kept")
    assert kept.copies is not None
    assert kept.copies.failure is None
    assert len(kept.copies.rounds) == 5
    assert kept.latency is not None
    # Both answered, each for itself, and what they answered was looked at.
    for pair, alone in zip(kept.copies.rounds, kept.latency.rounds, strict=False):
        assert len(pair.samples_s) >= 2 * 24
        assert pair.compared >= 2 * 32
        assert pair.mismatched == 0
        assert pair.peak_rss_bytes > 1.5 * alone.peak_rss_bytes
    assert [s.stage for s in result.stages][-1] == "Copies"


class Beside(MadeUpDevice):
    """Keeps what it was asked, and answers with these rounds."""

    def __init__(self, machine: Machine, answers: Sequence[Round | DeviceError]) -> None:
        super().__init__(idle, machine)
        self.answers = tuple(answers)
        self.given: list[tuple[Timing, ...]] = []

    def ask_in_turns(
        self, requests: Sequence[Timing], limits: Limits, signs: Signs = unheard
    ) -> tuple[Timed | DeviceError, ...]:
        del limits, signs
        self.given.append(tuple(requests))
        return tuple(
            one if isinstance(one, DeviceError) else Timed(round=one) for one in self.answers
        )


def bench(folder: Path, workdir: Path, device: Beside) -> Bench:
    return Bench(bundle=open_bundle(folder), device=device, mismatch=None, workdir=workdir)


@pytest.mark.parametrize(
    ("seconds", "outcome"), [((0.01, 0.03), Outcome.ACCEPTED), ((0.08, 0.09), Outcome.REJECTED)]
)
def test_rates_add_up_and_budgets_count_every_request(
    make_bundle: Make,
    machine: Machine,
    tmp_path: Path,
    seconds: tuple[float, float],
    outcome: Outcome,
) -> None:
    device = Beside(machine, [one_round(s, requests=50) for s in seconds])
    folder = make_bundle(**{"budgets.json": encode_pretty((LATENCY,)).decode()})
    at = bench(folder, tmp_path, device)
    found, trial = ask_copies(at, ASKED, 2, SILENT)
    assert found.outcome is outcome
    assert found.latency is not None
    assert found.latency.throughput is not None
    assert found.latency.throughput.value == pytest.approx(sum(1 / s for s in seconds))
    assert len(trial.rounds) == len(device.given) == 5
    requests = [one for pair in device.given for one in pair]
    assert all(isinstance(one, TimeRequest) and one.at_once for one in requests)
    assert len({one.seed for one in requests}) == 10


def test_on_another_machine_nothing_keeps_or_misses_a_budget(
    make_bundle: Make, machine: Machine, tmp_path: Path
) -> None:
    device = Beside(machine, [one_round(9.0, requests=50)] * 2)
    folder = make_bundle(**{"budgets.json": encode_pretty((LATENCY,)).decode()})
    at = msgspec.structs.replace(bench(folder, tmp_path, device), mismatch="another board")
    found, _ = ask_copies(at, ASKED, 2, SILENT)
    assert found.outcome is None


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ([one_round(0.01), DeviceError("it was killed")], "it was killed"),
        ([one_round(0.01), msgspec.structs.replace(one_round(0.01), mismatched=1)], "otherwise"),
    ],
)
def test_where_one_fails_nothing_is_told_of_the_others(
    make_bundle: Make,
    machine: Machine,
    tmp_path: Path,
    answers: Sequence[Round | DeviceError],
    told: str,
) -> None:
    device, folder = Beside(machine, answers), make_bundle()
    at = bench(folder, tmp_path, device)
    found, trial = ask_copies(at, ASKED, 2, SILENT)
    assert (found.latency, found.memory, trial.rounds) == (None, None, ())
    assert told in found.reason
    assert len(device.given) == 1


def request(setup: Setup) -> TimeRequest:
    return TimeRequest(setup=setup, feeds=Path("feeds"), expected=None, requests=1, min_s=0, seed=7)


def test_each_copy_has_its_own_cores(text_setup: Setup, machine: Machine) -> None:
    wide = msgspec.structs.replace(machine, affinity=tuple(range(9)))
    setup = msgspec.structs.replace(text_setup, threads=3)
    found = placed(request(setup), 3, wide)
    assert [one.cores for one in found] == [(6, 7, 8), (3, 4, 5), (0, 1, 2)]
    assert [one.seed for one in found] == [7, 8, 9]
    assert {one.setup.card_at for one in found} == {0}


def test_each_copy_has_its_own_card(text_setup: Setup, machine: Machine) -> None:
    setup = msgspec.structs.replace(text_setup, provider="cuda")
    found = placed(request(setup), 3, machine)
    assert [one.setup.card_at for one in found] == [0, 1, 2]
    assert {one.cores for one in found} == {()}


def test_a_round_of_all_copies() -> None:
    pair = [one_round(0.02, 100, requests=10), one_round(0.04, 300, "steal", requests=5)]
    found = together(pair)
    assert sorted(found.samples_s) == [0.02] * 10 + [0.04] * 5
    assert found.per_second(4) == pytest.approx(4 * (50 + 25))
    assert (found.memory_bytes, found.void) == (400, "steal")
    card = [
        msgspec.structs.replace(
            one,
            conditions=msgspec.structs.replace(
                one.conditions, card=CardConditions(memory_bytes=size)
            ),
        )
        for one, size in zip(pair, (5, 9), strict=True)
    ]
    assert together(card).memory_bytes == 9


@pytest.mark.parametrize(
    ("copies", "told"), [(1, "give 2 to 64"), (65, "give 2 to 64"), (3, "want 3 cores")]
)
def test_what_there_is_no_room_for_is_refused(
    interface: Interface, target: Target, machine: Machine, copies: int, told: str
) -> None:
    single = with_threads(target, 1)
    with pytest.raises(UsageError, match=told):
        check_copies(copies, interface, single, machine)
    check_copies(2, interface, single, machine)


def test_cards_are_counted(interface: Interface, machine: Machine) -> None:
    server = load_target("a100x4")
    name = server.match.gpu or ""
    three = msgspec.structs.replace(machine, gpus=(name, name, "another", name))
    check_copies(3, interface, server, three)
    with pytest.raises(UsageError, match="this machine has 3 of the target"):
        check_copies(4, interface, server, three)


def test_models_with_a_way_of_their_own_are_refused(target: Target, machine: Machine) -> None:
    speaks = Interface(
        task=Task.TEXT_GENERATION,
        inputs=PromptInputs(context=64, chat=False),
        outputs=("logits",),
    )
    with pytest.raises(UsageError, match="answer once"):
        check_copies(2, speaks, target, machine)
