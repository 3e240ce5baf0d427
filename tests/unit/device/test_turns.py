"""Whose turn it is, on a made-up clock."""

import pytest

from deployopt.device import energy, turns
from deployopt.device.card_watch import CardWatch
from deployopt.device.energy import Counter
from deployopt.device.turns import WARMING_S, Turns
from tests.fakes.nvml import GIB, FakeCard, nvml_of

MS = 1_000_000


class Stage:
    """A clock that stands still unless it is moved, and a partner who takes half a second."""

    def __init__(self) -> None:
        self.now = 0
        self.waits = 0
        self.sent: list[int] = []

    def clock(self) -> int:
        return self.now

    def wait(self) -> None:
        self.waits += 1
        self.now += 500 * MS

    def send(self, number: int) -> None:
        self.sent.append(number)
        self.now += MS

    def turns(self, turn_s: float | None = 0.1, guess_s: float = 0.001) -> Turns:
        return Turns(turn_s, guess_s, self.wait, self.clock)


def test_the_first_turn_is_waited_for_and_lasts_as_long_as_said() -> None:
    stage = Stage()
    mine = stage.turns()
    mine.come(stage.send)
    assert (stage.waits, stage.sent) == (1, list(range(10)))
    for _ in range(9):
        stage.now += 10 * MS
        mine.come(stage.send)
    assert (stage.waits, len(stage.sent)) == (1, 10)
    stage.now += 10 * MS
    mine.come(stage.send)
    assert (stage.waits, len(stage.sent)) == (2, 20)
    assert mine.outside.wall_s == pytest.approx(2 * (0.5 + WARMING_S))


def test_without_turns_no_one_waits() -> None:
    stage = Stage()
    mine = stage.turns(turn_s=None)
    for _ in range(3):
        mine.come(stage.send)
    assert (stage.waits, stage.sent) == (0, [])
    assert mine.outside.wall_s == 0


@pytest.mark.parametrize(("guess_s", "sent"), [(0.0001, 10), (0.019, 10), (0.021, 0), (0.5, 0)])
def test_long_requests_are_not_sent_in_vain(guess_s: float, sent: int) -> None:
    stage = Stage()
    stage.turns(guess_s=guess_s).come(stage.send)
    assert len(stage.sent) == sent


def test_waiting_for_a_core_outside_of_what_is_measured_is_not_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    delays = iter([{"1": 100, "2": 10}, {"1": 300, "2": 40}, {"1": 1000, "2": 40}, {"1": 1001}])
    monkeypatch.setattr(turns, "read_run_delays_ns", lambda: next(delays))
    stage = Stage()
    mine = stage.turns()
    mine.come(stage.send)
    assert mine.outside.delay_ns == 230
    stage.now += 100 * MS
    mine.come(stage.send)
    assert mine.outside.delay_ns == 231


@pytest.fixture
def joules(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A counter of the whole machine: what others spend is counted too."""
    count = [100.0]
    monkeypatch.setattr(energy, "read_energy", lambda _: {"package": Counter(joules=count[0])})
    return count


def test_only_the_energy_of_ones_own_turns_is_counted(joules: list[float]) -> None:
    stage = Stage()

    def wait() -> None:
        joules[0] += 1000
        stage.now += 500 * MS

    mine = Turns(0.1, 0.001, wait, stage.clock)
    for spent in (2.0, 3.0):
        mine.come(stage.send)
        joules[0] += spent
        stage.now += 100 * MS
    assert mine.energy_j() == pytest.approx(5.0)


def test_where_nothing_counts_there_is_no_energy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy, "read_energy", lambda _: {})
    stage = Stage()
    mine = stage.turns()
    mine.come(stage.send)
    assert mine.energy_j() is None


def test_the_card_is_watched_in_ones_own_turns_only() -> None:
    stage, card = Stage(), FakeCard()
    card.holds(GIB)

    def wait() -> None:
        card.reasons = 64
        card.processes[1] = GIB
        card.utilization.append((1, stage.now + 1, 99))
        stage.wait()
        card.reasons = 0
        del card.processes[1]

    watch = CardWatch(nvml_of(card), "", stage.clock)
    mine = Turns(0.1, 0.001, wait, stage.clock, watch)
    for _ in range(30):
        mine.come(stage.send)
        stage.now += 10 * MS
    mine.energy_j()
    seen = watch.conditions()
    assert stage.waits > 1
    assert (seen.throttled, seen.others, seen.others_share) == (False, 0, 0.0)
    assert seen.clock_mhz == card.clock
