"""Throughput against batch: on this machine for real, and the rules on made-up rounds."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from deployopt.core.budget import Budget
from deployopt.core.codec import decode_json, encode_pretty
from deployopt.core.errors import UsageError
from deployopt.core.interface import Interface, PromptInputs, Task
from deployopt.core.measurement import Trial
from deployopt.core.target import Target
from deployopt.core.verdict import Outcome
from deployopt.core.watching import SILENT
from deployopt.core.workload import Workload
from deployopt.device import batches as module
from deployopt.device import bundle_measuring
from deployopt.device.batches import check_batches, sweep_batches
from deployopt.device.besides import Besides, check_besides
from deployopt.device.bundle_measuring import Bench
from deployopt.device.bundle_reader import open_bundle
from deployopt.device.device import ThisMachine
from deployopt.device.latency import Schedule
from deployopt.device.machine import describe_machine
from deployopt.device.setup import Arm, TimingInputs
from deployopt.device.verify import Verification, verify
from tests.fakes.comparing import one_round, trial

Make = Callable[..., Path]
on_x86 = pytest.mark.skipif(describe_machine().arch != "x86_64", reason="the target is x86_64")
LATENCY = Budget(metric="latency_p95", limit=0.05)


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle_measuring, "MIN_ROUND_S", 0.02)
    monkeypatch.setattr(module, "MIN_ROUND_S", 0.02)


def bench(folder: Path, workdir: Path) -> Bench:
    return Bench(bundle=open_bundle(folder), device=ThisMachine(), mismatch=None, workdir=workdir)


class Clock:
    """Takes the place of `measure`: a request of n examples takes `each` of n seconds."""

    def __init__(self, each: Callable[[int], float], failing: int = 0) -> None:
        self.each = each
        self.failing = failing
        self.arms: list[Arm] = []

    def __call__(
        self, arms: Sequence[Arm], schedule: Schedule, place: object, *, progress: object
    ) -> tuple[Trial, ...]:
        del place, progress
        (arm,) = arms
        self.arms.append(arm)
        one = one_round(self.each(schedule.batch), requests=schedule.requests)
        failed = schedule.batch == self.failing
        rounds = [] if failed else [one] * schedule.looks[-1]
        found = trial(rounds, "it hung" if failed else None)
        return (msgspec.structs.replace(found, batch=schedule.batch),)


@on_x86
def test_every_size_is_measured_here_and_its_answers_are_checked(
    make_bundle: Make, tmp_path: Path
) -> None:
    wide = Budget(metric="latency_p95", limit=30.0)  # no load of this machine reaches it
    bundle = make_bundle(**{"budgets.json": encode_pretty((wide,)).decode()})
    result = verify(bundle, store=tmp_path / "store", besides=Besides(batches=(4, 1, 4, 16)))
    sweep = result.batches
    assert sweep is not None
    assert [one.batch for one in sweep.figures] == [1, 4, 16]
    assert sweep.left_out == ()
    assert result.written is not None
    kept = decode_json(Path(result.written).read_bytes(), Verification, where="kept")
    assert [trial.batch for trial in kept.batches] == [1, 4, 16]
    assert all(trial.failure is None for trial in kept.batches)
    assert all(one.compared > 0 == one.mismatched for t in kept.batches for one in t.rounds)
    assert [s.stage for s in result.stages] == [
        "Digests",
        "Target",
        "Accuracy",
        "Latency",
        "Batches",
    ]
    # A busy machine may void rounds, and then nothing is said.
    if all(not any(one.void for one in trial.rounds) for trial in kept.batches):
        assert sweep.largest == 16
        assert sweep.fastest in {1, 4, 16}


@on_x86
def test_without_sizes_nothing_is_swept(make_bundle: Make, tmp_path: Path) -> None:
    assert verify(make_bundle(), store=tmp_path / "store").batches is None


def test_the_largest_batch_in_time_and_the_one_with_most_throughput(
    make_bundle: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "measure", Clock(lambda n: 0.008 + 0.004 * n))
    folder = make_bundle(**{"budgets.json": encode_pretty((LATENCY,)).decode()})
    sweep, trials = sweep_batches(bench(folder, tmp_path), (1, 2, 8, 16, 32, 64), SILENT)
    assert [one.outcome for one in sweep.figures] == [Outcome.ACCEPTED] * 3 + [Outcome.REJECTED]
    assert (sweep.largest, sweep.fastest, sweep.left_out) == (8, 16, (32, 64))
    assert len(trials) == 4
    rates = [one.latency.throughput for one in sweep.figures if one.latency is not None]
    assert [rate.value for rate in rates if rate is not None] == pytest.approx(
        [n / (0.008 + 0.004 * n) for n in (1, 2, 8, 16)]
    )


def test_without_a_latency_budget_all_sizes_are_tried(
    make_bundle: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "measure", Clock(lambda n: 10.0 * n))
    sweep, _ = sweep_batches(bench(make_bundle(), tmp_path), (1, 2, 4), SILENT)
    assert [one.outcome for one in sweep.figures] == [None] * 3
    assert (sweep.largest, sweep.left_out, sweep.budgets) == (None, (), ())


def test_on_another_machine_nothing_keeps_or_misses_a_budget(
    make_bundle: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "measure", Clock(lambda n: 10.0 * n))
    folder = make_bundle(**{"budgets.json": encode_pretty((LATENCY,)).decode()})
    elsewhere = msgspec.structs.replace(bench(folder, tmp_path), mismatch="another board")
    sweep, _ = sweep_batches(elsewhere, (1, 2), SILENT)
    assert [one.outcome for one in sweep.figures] == [None, None]
    assert (sweep.largest, sweep.left_out, sweep.budgets) == (None, (), ())


def test_one_that_fails_ends_it(
    make_bundle: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "measure", Clock(lambda n: 0.001 * n, failing=2))
    sweep, trials = sweep_batches(bench(make_bundle(), tmp_path), (1, 2, 4), SILENT)
    assert [one.batch for one in sweep.figures] == [1, 2]
    assert (sweep.figures[-1].latency, sweep.figures[-1].reason) == (None, "it hung")
    assert (sweep.fastest, sweep.left_out) == (1, (4,))
    assert trials[-1].failure == "it hung"


def test_more_than_the_gate_split_has_is_told(
    make_bundle: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "measure", Clock(lambda n: 0.001 * n))
    sweep, _ = sweep_batches(bench(make_bundle(), tmp_path), (120, 121, 200), SILENT)
    assert "only 120 examples" in sweep.figures[-1].reason
    assert sweep.left_out == (200,)


def test_requests_are_full_and_their_answers_those_of_such_requests(
    make_bundle: Make, target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(lambda n: 0.001 * n)
    monkeypatch.setattr(module, "measure", clock)
    server = Workload(scenario="server", requests_per_s=20.0)
    served = msgspec.structs.replace(target, workload=server)
    folder = make_bundle(**{"target.json": encode_pretty(served).decode()})
    sweep_batches(bench(folder, tmp_path), (7,), SILENT)
    inputs: Any = clock.arms[0].inputs
    assert isinstance(inputs, TimingInputs)
    assert inputs.expected is not None
    assert len(inputs.feeds) == len(inputs.expected) == 120 // 7
    for feed, answer in zip(inputs.feeds, inputs.expected, strict=True):
        assert len(feed["input_ids"]) == len(answer["logits"]) == 7


def test_a_bundle_without_a_gate_split_has_nothing_to_ask_with(
    make_bundle: Make,
) -> None:
    opened = open_bundle(make_bundle())
    listed = tuple(f for f in opened.manifest.files if not f.path.startswith("gate/"))
    bare = msgspec.structs.replace(
        opened, manifest=msgspec.structs.replace(opened.manifest, files=listed)
    )
    for wanted in (Besides(batches=(1,)), Besides(copies=2)):
        with pytest.raises(UsageError, match="no gate split"):
            check_besides(wanted, bare, ThisMachine())
    check_besides(Besides(), bare, ThisMachine())


@pytest.mark.parametrize("size", [0, -1, 4097])
def test_sizes_out_of_range_are_refused(size: int, interface: Interface) -> None:
    with pytest.raises(UsageError, match="1 to 4096"):
        check_batches((1, size), interface)


def test_models_with_a_way_of_their_own_are_refused() -> None:
    speaks = Interface(
        task=Task.TEXT_GENERATION,
        inputs=PromptInputs(context=64, chat=False),
        outputs=("logits",),
    )
    with pytest.raises(UsageError, match="by length and by batch"):
        check_batches((1,), speaks)
    check_batches((), speaks)
