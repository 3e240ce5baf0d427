"""Comparing language models' bundles: what they say is real, the clock is made up."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from deployopt.core.comparison import Change, Difference
from deployopt.core.errors import DeviceError, UsageError
from deployopt.core.interface import PromptInputs
from deployopt.core.result import CompareResult
from deployopt.core.verdict import Outcome
from deployopt.device.bundle_reader import OpenBundle, open_bundle
from deployopt.device.compare import compare
from deployopt.device.machine import describe_machine
from deployopt.device.ring import Terms
from tests.fakes.decoders import TinyDecoder
from tests.fakes.devices import MadeUpDevice, idle
from tests.fakes.judged_decoders import make_judged_bundle
from tests.fakes.paced import PacedDevice

on_x86 = pytest.mark.skipif(describe_machine().arch != "x86_64", reason="the target is x86_64")
pytestmark = on_x86
NEW = "e" * 64


def _near(seed: int = 3, by: float = 0.05) -> TinyDecoder:
    made = TinyDecoder()
    noise = np.random.default_rng(seed).normal(0.0, by, made.table.shape)
    made.table = (made.table + noise).astype(np.float32)
    return made


@pytest.fixture
def old(tmp_path: Path) -> OpenBundle:
    return open_bundle(make_judged_bundle(tmp_path / "old"))


@pytest.fixture
def near(tmp_path: Path) -> OpenBundle:
    made = make_judged_bundle(
        tmp_path / "near", model=_near(), reference=TinyDecoder(), artifact=NEW
    )
    return open_bundle(made)


def _found(result: CompareResult) -> dict[str, Difference]:
    return {one.aspect: one for one in result.comparison.differences}


def test_a_bundle_beside_itself(old: OpenBundle) -> None:
    device = PacedDevice(noise=0.01)
    result = compare(old, old, device)
    assert (result.exit_code, result.comparison.outcome) == (0, Outcome.ACCEPTED)
    found = _found(result)
    assert list(found) == [
        "latency_p50", "ttft_p50", "decode_tps", "nll_increase", "memory_peak",
        "memory_full_context", "artifact_size", "precision", "operators",
    ]  # fmt: skip
    assert found["nll_increase"].outcome is Change.SAME
    assert {found[a].outcome for a in ("latency_p50", "ttft_p50", "decode_tps")} == {
        Change.NO_WORSE
    }
    assert len(device.evaluated) == 1
    assert [s.stage for s in result.stages] == [
        "Answers of the new one",
        "Answers, one beside the other",
    ]


def test_another_one_is_judged_by_time_and_by_likelihood(old: OpenBundle, near: OpenBundle) -> None:
    result = compare(old, near, PacedDevice({NEW: 0.7}, noise=0.01))
    assert result.comparison.outcome is Outcome.ACCEPTED
    found = _found(result)
    assert found["decode_tps"].outcome is Change.BETTER
    assert found["decode_tps"].change == pytest.approx(-0.3, abs=0.02)
    assert (found["decode_tps"].new or 0.0) > (found["decode_tps"].old or 0.0)
    assert found["nll_increase"].outcome is Change.NO_WORSE
    assert found["nll_increase"].limit == 0.02
    agreed = found["agreement"]
    assert (agreed.outcome, agreed.limit) == (Change.CHANGED, None)
    assert 0.8 < (agreed.new or 0.0) < 1.0


def test_slower_and_less_likely_is_a_regression(old: OpenBundle, tmp_path: Path) -> None:
    worse = make_judged_bundle(
        tmp_path / "worse", model=_near(by=1.0), reference=TinyDecoder(), artifact=NEW
    )
    result = compare(old, open_bundle(worse), PacedDevice({NEW: 1.2}, noise=0.01))
    assert result.exit_code == 1
    regressed = {a for a, one in _found(result).items() if one.outcome is Change.REGRESSED}
    assert {"latency_p50", "ttft_p50", "decode_tps"} <= regressed
    wide = compare(
        old,
        open_bundle(worse),
        PacedDevice({NEW: 1.2}, noise=0.01),
        terms=Terms(margin=0.5, nll=1.0),
    )
    assert wide.exit_code == 0


def test_likelihoods_that_are_no_numbers(old: OpenBundle, tmp_path: Path) -> None:
    poisoned = make_judged_bundle(
        tmp_path / "p", model=TinyDecoder(poison=3), reference=TinyDecoder(), artifact=NEW
    )
    device = PacedDevice(noise=0.01)
    result = compare(old, open_bundle(poisoned), device)
    assert result.exit_code == 1
    assert "are not finite numbers" in result.comparison.reasons[0]
    with pytest.raises(UsageError, match="nothing can be judged beside it"):
        compare(open_bundle(poisoned), old, device)


def test_a_context_that_the_old_one_has_not(old: OpenBundle, near: OpenBundle) -> None:
    small = msgspec.structs.replace(
        old,
        manifest=msgspec.structs.replace(
            old.manifest,
            interface=msgspec.structs.replace(
                old.manifest.interface, inputs=PromptInputs(context=100, chat=False)
            ),
        ),
    )
    with pytest.raises(UsageError, match="in a context of 512 tokens, and tiny-here takes 100"):
        compare(small, near, PacedDevice())


def test_points_of_accuracy_are_of_questions_with_choices(old: OpenBundle) -> None:
    with pytest.raises(UsageError, match="no questions with choices"):
        compare(old, old, MadeUpDevice(idle, describe_machine()), terms=Terms(accuracy=0.01))


def test_where_nothing_answers_it_is_said(old: OpenBundle) -> None:
    with pytest.raises(DeviceError, match="answers no examples"):
        compare(old, old, MadeUpDevice(idle, describe_machine()))
