"""The gate: measurements and predictions of one artifact go in, a verdict comes out.

It fails closed. A metric without a number is rejected; a bound that straddles its budget, too much
noise or too weak evidence is undecided; only a whole bound inside every budget is accepted. Each
kind of budget has its rule in core/judging/.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from deployopt.core.budget import Budget
from deployopt.core.errors import IntegrityError, UsageError
from deployopt.core.judging.findings import Findings
from deployopt.core.judging.paired import judge_accuracy
from deployopt.core.judging.scored import judge_agreement, judge_score
from deployopt.core.judging.stored import judge_memory, judge_size
from deployopt.core.judging.timed import (
    VOID_SHARE_MAX,
    judge_decode,
    judge_energy,
    judge_first_token,
    judge_latency,
    judge_throughput,
    too_noisy,
)
from deployopt.core.metric import Kind
from deployopt.core.verdict import Check, Outcome, Verdict

__all__ = ["VOID_SHARE_MAX", "Findings", "judge", "too_noisy"]


def judge(target: str, budgets: Sequence[Budget], findings: Findings) -> Verdict:
    """Judge every budget.

    Raises:
        UsageError: there is no budget, so nothing could be accepted or rejected.
        IntegrityError: a measurement is of another artifact.
    """
    if not budgets:
        raise UsageError(
            "There is no budget to judge by. Give at least one, for example "
            "--budget latency_p95=60ms, or name a target that has some."
        )
    _require_same_artifact(findings)
    checks = tuple(_JUDGES[budget.definition.kind](budget, findings) for budget in budgets)
    reasons = (*_refusals(findings), *findings.doubts)
    outcomes = {check.outcome for check in checks}
    if Outcome.REJECTED in outcomes or _refusals(findings):
        outcome = Outcome.REJECTED
    elif Outcome.UNDECIDED in outcomes or reasons:
        outcome = Outcome.UNDECIDED
    else:
        outcome = Outcome.ACCEPTED
    waiting = [check for check in checks if check.outcome is Outcome.UNDECIDED]
    return Verdict(
        target=target,
        artifact=findings.artifact,
        outcome=outcome,
        provisional=outcome is Outcome.UNDECIDED
        and not reasons
        and all(check.predicted_inside for check in waiting),
        checks=checks,
        reasons=reasons,
    )


def _require_same_artifact(findings: Findings) -> None:
    for trial in (findings.latency, findings.accuracy, findings.scores):
        if trial is not None and trial.artifact != findings.artifact:
            raise IntegrityError(
                f"A measurement is of artifact {trial.artifact[:12]} and not of "
                f"{findings.artifact[:12]}, which is being judged. Measure again."
            )


def _refusals(findings: Findings) -> tuple[str, ...]:
    """Faults of the artifact as a whole, each enough to reject it."""
    found = []
    if findings.latency is not None:
        if findings.latency.failure is not None:
            found.append(findings.latency.failure)
        mismatched = sum(r.mismatched for r in findings.latency.rounds)
        if mismatched:
            compared = sum(r.compared for r in findings.latency.rounds)
            found.append(
                f"{mismatched} of {compared} timed requests gave another output than the accuracy "
                "run: the runtime caches, skips or is not deterministic."
            )
    if findings.accuracy is not None and findings.accuracy.non_finite:
        found.append(
            f"{findings.accuracy.non_finite} of {findings.accuracy.examples} outputs are not "
            "finite numbers."
        )
    if findings.scores is not None and findings.scores.non_finite:
        total = len(findings.scores.documents) + findings.scores.non_finite
        found.append(
            f"The likelihoods of {findings.scores.non_finite} of {total} documents are not finite "
            "numbers."
        )
    return tuple(found)


_JUDGES: Final[Mapping[Kind, Callable[[Budget, Findings], Check]]] = {
    Kind.LATENCY: judge_latency,
    Kind.MEMORY: judge_memory,
    Kind.SIZE: judge_size,
    Kind.ACCURACY: judge_accuracy,
    Kind.ENERGY: judge_energy,
    Kind.THROUGHPUT: judge_throughput,
    Kind.FIRST_TOKEN: judge_first_token,
    Kind.DECODE: judge_decode,
    Kind.SCORE: judge_score,
    Kind.AGREEMENT: judge_agreement,
}
