"""What a build measured is kept, on the target only."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import msgspec
import pytest

from deployopt.core.evidence import Evidence
from deployopt.core.experience import Foreseen
from deployopt.core.plan import Facts, Operation
from deployopt.pipeline import remembering as module
from deployopt.pipeline.candidates import Candidate
from deployopt.pipeline.forecasting import foreseen, predictions
from deployopt.pipeline.preparing import Prepared
from deployopt.pipeline.remembering import remember
from deployopt.planning.targets import load_target
from deployopt.store.experiences import read_experiences
from deployopt.store.store import Store
from tests.fakes.candidates import candidate
from tests.fakes.results import BUDGETS, MACHINE

TARGET = load_target("x86-cpu")
FACTS = Facts(
    parameters=10**7,
    weight_bytes=4 * 10**7,
    operations=(Operation(kind="gemm", macs=1e9, weights=1e7, activations=1e6),),
    peak_activation_bytes=10**6,
    basis="made up",
)
replace = msgspec.structs.replace


def prepared(store: Path, evidence: Evidence = Evidence.TARGET) -> Prepared:
    """As far as remembering looks at it."""
    found = SimpleNamespace(
        evidence=evidence,
        request=SimpleNamespace(target=TARGET),
        machine=MACHINE,
        budgets=BUDGETS,
        bench=SimpleNamespace(store=Store(store)),
    )
    return cast("Prepared", found)


def measured(name: str, median_s: float) -> Candidate:
    one = candidate(name, median_s)
    assert one.made is not None
    expected = foreseen(TARGET, FACTS, one.made.artifact.precision, BUDGETS, "model")
    assert isinstance(expected, Foreseen)
    return replace(one, foreseen=expected)


def test_every_metric_of_every_candidate_is_kept_once(tmp_path: Path) -> None:
    both = [measured("float", 0.02), measured("int8", 0.01)]
    assert remember(prepared(tmp_path), both) is None
    assert remember(prepared(tmp_path), both) is None
    found = read_experiences(tmp_path)
    assert len(found) == 6
    assert {e.metric for e in found} == {"latency_p95", "memory_peak", "artifact_size"}
    assert {e.precision.value for e in found} == {"fp32", "int8"}
    assert {e.runtime for e in found} == {"cpu 1.27.0"}
    (tail,) = [e for e in found if e.metric == "latency_p95" and e.precision.value == "fp32"]
    assert 0.02 < tail.measured < 0.025
    assert tail.samples == 600


def test_a_prediction_learns_from_it_and_the_experience_stays_uncorrected(tmp_path: Path) -> None:
    one = measured("float", 0.02)
    assert one.made is not None
    precision = one.made.artifact.precision
    before = predictions(TARGET, FACTS, precision, BUDGETS)["latency_p95"]
    remember(prepared(tmp_path), [one])
    kept = read_experiences(tmp_path)
    after = predictions(TARGET, FACTS, precision, BUDGETS, kept)["latency_p95"]
    (tail,) = [e for e in kept if e.metric == "latency_p95"]
    assert tail.predicted == before.value
    assert abs(after.value - tail.measured) < abs(before.value - tail.measured)
    assert "learned from 1 model" in after.basis


def test_a_proxy_s_figures_are_no_experience(tmp_path: Path) -> None:
    assert remember(prepared(tmp_path / "s", Evidence.PROXY), [measured("float", 0.02)]) is None
    assert not (tmp_path / "s").exists()


def test_what_failed_or_was_not_predicted_is_left_out(tmp_path: Path) -> None:
    failed = replace(measured("int8", 0.01), failure="it crashed")
    unforeseen = candidate("float", 0.02)
    assert remember(prepared(tmp_path), [failed, unforeseen]) is None
    assert read_experiences(tmp_path) == ()


def test_a_noisy_machine_s_latency_is_no_experience(tmp_path: Path) -> None:
    one = measured("float", 0.02)
    assert one.trial is not None
    noisy = tuple(replace(r, void="steal") for r in one.trial.rounds[3:])
    trial = replace(one.trial, rounds=(*one.trial.rounds[:3], *noisy))
    remember(prepared(tmp_path), [replace(one, trial=trial)])
    assert {e.metric for e in read_experiences(tmp_path)} == {"memory_peak", "artifact_size"}


def test_a_store_that_is_full_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "keep_experiences", lambda *_: "The disk is full.")
    assert remember(prepared(tmp_path), [measured("float", 0.02)]) == "The disk is full."
