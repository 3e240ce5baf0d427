"""Is the new one worse than the old one: trials of both go in, differences and an outcome come out.

It fails closed, as the gate does. One interval decides each aspect: wholly over the margin it is a
regression, wholly within it is no worse, wholly below no change it is better; all else is
undecided. Latency and memory are judged at the looks of core/relative.py, so that their bounds may
be looked at again; the rounds are pairs, run one beside the other.
"""

import math
from collections.abc import Sequence
from statistics import median
from typing import Final

import msgspec

from deployopt.core.accuracy_loss import accuracy_bounds
from deployopt.core.comparison import (
    ACCURACY,
    LATENCY,
    MEMORY,
    SIZE,
    Change,
    Difference,
    RoundPair,
)
from deployopt.core.evidence import Evidence
from deployopt.core.gate import too_noisy
from deployopt.core.judging.stored import TELL, UNTOLD, memory_untold
from deployopt.core.latency_check import CONFIDENCE
from deployopt.core.measurement import AccuracyTrial, Trial
from deployopt.core.relative import LOOKS, RelativeJudgement, judge_relative
from deployopt.core.sample_size import examples_to_settle
from deployopt.core.standing import Standing
from deployopt.core.summaries import log_ratios
from deployopt.core.verdict import Outcome

_QUIET: Final = "measure again on a quiet machine"


def settled(old: Trial, new: Trial, margin: float) -> bool:
    """Whether further rounds could change nothing, so that no more are run."""
    if old.failure is not None or new.failure is not None:
        return True
    ratios = [log_ratios(new, old)]
    if not (memory_untold(old) or memory_untold(new)):
        ratios.append(memory_ratios(old, new))
    return all(judge_relative(r, margin).standing is not Standing.UNSETTLED for r in ratios)


def latency_difference(old: Trial, new: Trial, margin: float) -> Difference:
    """The ratio of the rounds' medians."""
    counted = [[s for r in trial.counted for s in r.samples_s] for trial in (old, new)]
    return timed_difference(
        LATENCY, (old, new), log_ratios(new, old), (counted[0], counted[1]), margin
    )


def timed_difference(
    aspect: str,
    trials: tuple[Trial, Trial],
    logs: Sequence[float],
    values: tuple[Sequence[float], Sequence[float]],
    margin: float,
) -> Difference:
    """A ratio of times from one logarithm a pair of rounds; `values` are for a person."""
    old, new = trials
    failed = _failed(aspect, old, new, margin)
    if failed is not None:
        return failed
    judged = judge_relative(logs, margin)
    found = _relative(aspect, judged, values, margin, new.evidence)
    noisy = too_noisy(new) or too_noisy(old)
    if noisy:
        return msgspec.structs.replace(found, outcome=Change.UNDECIDED, reason=noisy, settle=_QUIET)
    reason = f"medians of {judged.rounds} pairs of rounds"
    settle = None
    if judged.next_look is not None:
        reason += f"; {judged.next_look} are needed to say more"
        settle = "give it more time"
    elif found.outcome is Change.UNDECIDED:
        allow = math.ceil(100.0 * (found.upper or 0.0))
        reason += ": the rounds differ too much for the margin"
        settle = f"{_QUIET}, or allow {allow} %"
    return msgspec.structs.replace(found, reason=reason, settle=settle)


def memory_difference(old: Trial, new: Trial, margin: float) -> Difference:
    """The ratio of the fresh processes' peaks; a round that is void for time counts here."""
    failed = _failed(MEMORY, old, new, margin)
    if failed is not None:
        return failed
    if memory_untold(old) or memory_untold(new):
        return Difference(
            aspect=MEMORY,
            outcome=Change.UNDECIDED,
            limit=margin,
            evidence=new.evidence,
            reason=UNTOLD,
            settle=TELL,
        )
    judged = judge_relative(memory_ratios(old, new), margin)
    peaks = [[float(r.memory_bytes or 0) for r in trial.rounds] for trial in (old, new)]
    found = _relative(MEMORY, judged, (peaks[0], peaks[1]), margin, new.evidence)
    return msgspec.structs.replace(
        found,
        reason=f"peaks of {judged.rounds} pairs of fresh processes",
        settle="measure more rounds" if found.outcome is Change.UNDECIDED else None,
    )


def memory_ratios(old: Trial, new: Trial) -> list[float]:
    """ln(peak of `new` / peak of `old`), one number a round."""
    pairs = zip(old.rounds, new.rounds, strict=False)
    return [
        math.log(b.memory_bytes / a.memory_bytes)
        for a, b in pairs
        if a.memory_bytes and b.memory_bytes
    ]


def accuracy_difference(trial: AccuracyTrial, margin: float) -> Difference:
    """The share lost, from a trial whose reference is the old one."""
    bounds = accuracy_bounds(trial, CONFIDENCE)
    reason, settle = _accuracy_words(trial), None
    change = change_between(bounds.lower, bounds.upper, margin)
    if trial.synthetic and change is not Change.REGRESSED:
        change = Change.UNDECIDED
        settle = "build with real inputs: answers to made-up ones prove nothing"
    elif not trial.exact_arithmetic and not trial.evidence.at_least(Evidence.TARGET):
        change = Change.UNDECIDED
        reason += "; this machine's int8 arithmetic is not the target's"
        settle = "run it on the target"
    elif change is Change.UNDECIDED:
        settle = _more_examples(trial, margin)
    return Difference(
        aspect=ACCURACY,
        outcome=change,
        old=trial.reference_accuracy,
        new=trial.candidate_accuracy,
        change=bounds.estimate,
        lower=bounds.lower,
        upper=bounds.upper,
        limit=margin,
        confidence=CONFIDENCE,
        samples=trial.examples,
        evidence=trial.evidence,
        reason=reason,
        settle=settle,
    )


def _more_examples(trial: AccuracyTrial, margin: float) -> str:
    if trial.over_all is not None:
        return "build with more gate images"
    more = examples_to_settle(trial.lost, trial.gained, trial.examples, margin, CONFIDENCE)
    if more:
        return f"build with about {more:,} more gate examples"
    return "the loss seen is the margin's own: no number of examples is likely to settle it"


def same_answers(trial: AccuracyTrial, margin: float) -> Difference:
    """Where both are the same files nothing is left to chance; `trial` is of one with itself."""
    share = trial.candidate_accuracy
    return Difference(
        aspect=ACCURACY,
        outcome=Change.SAME,
        old=share,
        new=share,
        change=0.0,
        lower=0.0,
        upper=0.0,
        limit=margin,
        samples=trial.examples,
        evidence=Evidence.EXACT,
        reason="the same model, so the same answers",
    )


def size_difference(old_bytes: int, new_bytes: int, margin: float) -> Difference:
    """Exact: the files that are deployed."""
    change = (new_bytes - old_bytes) / old_bytes
    outcome = Change.SAME if not change else change_between(change, change, margin)
    return Difference(
        aspect=SIZE,
        outcome=outcome,
        old=float(old_bytes),
        new=float(new_bytes),
        change=change,
        lower=change,
        upper=change,
        limit=margin,
        evidence=Evidence.EXACT,
        reason="sum of the files that are deployed",
    )


def outcome_of(differences: Sequence[Difference], refusals: Sequence[str] = ()) -> Outcome:
    """One regression rejects, and one aspect that is undecided leaves the whole so."""
    found = {difference.outcome for difference in differences}
    if refusals or Change.REGRESSED in found:
        return Outcome.REJECTED
    return Outcome.UNDECIDED if Change.UNDECIDED in found else Outcome.ACCEPTED


def refusals_of(accuracy: AccuracyTrial, latency: Trial) -> tuple[str, ...]:
    """Faults of the new one as a whole."""
    found = [] if latency.failure is None else [latency.failure]
    if accuracy.non_finite:
        found.append(
            f"{accuracy.non_finite} of {accuracy.examples} outputs are not finite numbers."
        )
    return tuple(found)


def relative_change(judged: RelativeJudgement) -> Change:
    """What one interval says of a ratio that was judged with a margin."""
    if judged.standing is Standing.OUTSIDE:
        return Change.REGRESSED
    if judged.standing is Standing.UNSETTLED:
        return Change.UNDECIDED
    return Change.BETTER if judged.upper is not None and judged.upper < 1.0 else Change.NO_WORSE


def round_pairs(old: Trial, new: Trial) -> tuple[RoundPair, ...]:
    """Every round in the order they ran, those that do not count included."""
    return tuple(
        RoundPair(
            old_s=median(a.samples_s) if a.samples_s else 0.0,
            new_s=median(b.samples_s) if b.samples_s else 0.0,
            old_peak_bytes=a.memory_bytes,
            new_peak_bytes=b.memory_bytes,
            void=a.void or b.void,
        )
        for a, b in zip(old.rounds, new.rounds, strict=False)
    )


def _failed(aspect: str, old: Trial, new: Trial, margin: float) -> Difference | None:
    """A new one that cannot be measured is a regression; without an old one nothing is known."""
    if old.failure is None and new.failure is None:
        return None
    worse = new.failure is not None
    return Difference(
        aspect=aspect,
        outcome=Change.REGRESSED if worse else Change.UNDECIDED,
        limit=margin,
        evidence=new.evidence,
        reason=new.failure if new.failure is not None else f"The old one failed: {old.failure}",
        settle=None if worse else "name an old bundle that runs on this machine",
    )


def change_between(lower: float, upper: float, margin: float) -> Change:
    """What an interval says of a change of which `margin` is no regression."""
    if lower > margin:
        return Change.REGRESSED
    if upper > margin:
        return Change.UNDECIDED
    return Change.BETTER if upper < 0.0 else Change.NO_WORSE


def _relative(
    aspect: str,
    judged: RelativeJudgement,
    values: tuple[Sequence[float], Sequence[float]],
    margin: float,
    evidence: Evidence,
) -> Difference:
    """What the judgement says, with the medians of both for a person."""
    level = next((look.level for look in LOOKS if look.rounds == judged.rounds), None)
    return Difference(
        aspect=aspect,
        outcome=relative_change(judged),
        old=median(values[0]) if values[0] else None,
        new=median(values[1]) if values[1] else None,
        change=_less_one(judged.ratio),
        lower=_less_one(judged.lower),
        upper=_less_one(judged.upper),
        limit=margin,
        confidence=None if level is None or judged.lower is None else 1.0 - level,
        samples=judged.rounds,
        evidence=evidence,
    )


def _less_one(ratio: float | None) -> float | None:
    return None if ratio is None else ratio - 1.0


def _accuracy_words(trial: AccuracyTrial) -> str:
    words = f"{trial.lost} lost and {trial.gained} gained of {trial.examples}"
    if trial.precision is not msgspec.UNSET:
        words = (
            f"mAP over {trial.examples} images: in {trial.lost} the new one finds less, in "
            f"{trial.gained} more"
        )
    if trial.recall is not msgspec.UNSET:
        words = (
            f"recall at 1 among {trial.examples} pairs: of {trial.lost} the new one finds less, of "
            f"{trial.gained} more"
        )
    return words if trial.labelled else f"{words}; right is what the reference answers"
