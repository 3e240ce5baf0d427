"""A language model's memory counts a full context, and a classifier's none."""

import msgspec
import pytest

from deployopt.core.budget import parse_budget
from deployopt.core.evidence import Evidence
from deployopt.core.gate import Findings, judge
from deployopt.core.judging.stored import peaks_of
from deployopt.core.measurement import CardConditions, Trial
from deployopt.core.scores import ScoreTrial
from deployopt.core.summaries import memory_figure
from deployopt.core.verdict import Check, Outcome
from tests.fakes.language import answered_trial, scored_trial
from tests.fakes.results import trial as classifier_trial

MIB = 2**20
TRIAL = answered_trial(0.08, 0.018)  # about 300 MiB
MEMORY = parse_budget("memory_peak", "400 MiB")


def check_of(scores: ScoreTrial | None) -> Check:
    found = Findings(artifact=TRIAL.artifact, latency=TRIAL, scores=scores)
    (check,) = judge("t", (MEMORY,), found).checks
    return check


@pytest.mark.parametrize(
    ("full_mib", "outcome"), [(380, Outcome.ACCEPTED), (420, Outcome.REJECTED)]
)
def test_the_peaks_are_raised_by_what_the_context_took(full_mib: int, outcome: Outcome) -> None:
    check = check_of(scored_trial(full_context_rss_bytes=full_mib * MIB))
    assert check.outcome is outcome
    assert check.observed == pytest.approx(full_mib * MIB, rel=0.001)
    assert "full context" in check.reason


def test_a_context_that_took_less_than_the_rounds_lowers_nothing() -> None:
    check = check_of(scored_trial(full_context_rss_bytes=100 * MIB))
    assert check.observed == pytest.approx(300 * MIB, rel=0.01)


@pytest.mark.parametrize("scores", [None, scored_trial(full_context_rss_bytes=None)])
def test_a_context_that_was_not_filled_rejects(scores: ScoreTrial | None) -> None:
    check = check_of(scores)
    assert check.outcome is Outcome.REJECTED
    assert "full context was not measured" in check.reason


def test_a_context_that_was_filled_elsewhere_decides_nothing() -> None:
    check = check_of(scored_trial(full_context_rss_bytes=380 * MIB, evidence=Evidence.PROXY))
    assert check.outcome is Outcome.UNDECIDED
    assert check.evidence is Evidence.PROXY


def test_a_classifiers_peaks_stay_as_they_are() -> None:
    plain = classifier_trial("int8", 0.01)
    assert peaks_of(plain, None) == [one.peak_rss_bytes for one in plain.rounds]
    empty = msgspec.structs.replace(TRIAL, rounds=())
    assert peaks_of(empty, scored_trial()) == []


def on_card(trial: Trial, *peaks_mib: int | None) -> Trial:
    """The same rounds on a card, whose process had so much on it."""
    made = []
    for one, peak in zip(trial.rounds, peaks_mib, strict=False):
        seen = CardConditions(memory_bytes=None if peak is None else peak * MIB)
        conditions = msgspec.structs.replace(one.conditions, card=seen)
        made.append(msgspec.structs.replace(one, conditions=conditions))
    return msgspec.structs.replace(trial, rounds=tuple(made))


@pytest.mark.parametrize(
    ("peaks", "outcome"),
    [
        ((300, 310, 305, 399, 300), Outcome.ACCEPTED),
        ((300, 310, 305, 401, 300), Outcome.UNDECIDED),
        ((900, 910, 905, 901, 900), Outcome.REJECTED),
    ],
)
def test_on_a_card_memory_is_what_the_process_had_there(
    peaks: tuple[int, ...], outcome: Outcome
) -> None:
    trial = on_card(classifier_trial("float", 0.05, proxy=False), *peaks)
    assert trial.rounds[0].memory_bytes == peaks[0] * MIB != trial.rounds[0].peak_rss_bytes
    findings = Findings(artifact=trial.artifact, latency=trial)
    (check,) = judge("t", (MEMORY,), findings).checks
    assert check.outcome is outcome
    assert check.observed == sorted(peaks)[2] * MIB
    figure = memory_figure(trial)
    assert figure is not None
    assert figure.upper == max(peaks) * MIB


def test_a_card_that_does_not_tell_decides_nothing_and_never_by_the_hosts_memory() -> None:
    trial = on_card(classifier_trial("float", 0.001, proxy=False), 300, 300, None, 300, 300)
    findings = Findings(artifact=trial.artifact, latency=trial)
    (check,) = judge("t", (MEMORY,), findings).checks
    assert (check.outcome, check.observed) == (Outcome.UNDECIDED, None)
    assert "nvidia-ml-py" in (check.settle or "")
    assert memory_figure(trial) is None
