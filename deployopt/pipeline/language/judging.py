"""The gate for language models: finalists on documents that are used once, in a settled sequence.

pipeline/judging.py has the sequence; here is what is asked, and what a verdict rests on.
"""

from collections.abc import Mapping, Sequence

import msgspec

from deployopt.core.errors import DeviceError
from deployopt.core.gate import Findings, judge
from deployopt.core.judging.scored import scores_p_value
from deployopt.core.measurement import Split
from deployopt.core.scores import ScoreTrial
from deployopt.core.verdict import Verdict
from deployopt.core.watching import Watcher
from deployopt.pipeline.candidates import Candidate
from deployopt.pipeline.judging import decide
from deployopt.pipeline.language.preparing import PreparedLanguage
from deployopt.pipeline.language.scoring import reference_scores, trial_of
from deployopt.pipeline.making import Made
from deployopt.store.store import StoredObject


class Finalist(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate that the gate split was asked of; `p_value` is against "it loses too much"."""

    candidate: Candidate
    made: Made
    trial: ScoreTrial
    p_value: float


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """Who won and with what verdict; everyone who was asked, in order."""

    winner: Finalist
    verdict: Verdict
    asked: tuple[Finalist, ...]
    crashed: Mapping[str, str]
    """Recipes that had no answer to the gate split, and why."""
    reference: StoredObject


def judge_language(
    prepared: PreparedLanguage, finalists: Sequence[Candidate], watcher: Watcher
) -> Decision:
    """Ask the gate split of as many as it takes.

    Raises:
        DeviceError: every finalist that was asked crashed on it.
    """
    documents = prepared.dataset.splits[Split.GATE].examples
    watcher.stage("Gate: reference", documents)
    _, reference = reference_scores(prepared, Split.GATE, watcher.advance)
    crashed: dict[str, str] = {}

    def ask(candidate: Candidate) -> Finalist | None:
        if candidate.made is None:
            raise DeviceError(f"{candidate.recipe.name} was not made, so it cannot be judged.")
        watcher.stage(f"Gate: {candidate.recipe.name}", documents)
        try:
            trial = trial_of(prepared, candidate.made.artifact, Split.GATE, watcher.advance)
        except DeviceError as error:
            watcher.note(f"Candidate {candidate.recipe.name} failed at the gate: {error}")
            crashed[candidate.recipe.name] = str(error)
            return None
        return Finalist(
            candidate=candidate,
            made=candidate.made,
            trial=trial,
            p_value=scores_p_value(trial, prepared.budgets),
        )

    def verdict_at(finalist: Finalist, level: float) -> Verdict:
        return judge(
            prepared.request.target.name,
            prepared.budgets,
            Findings(
                artifact=finalist.made.artifact.digest,
                latency=finalist.candidate.trial,
                scores=finalist.trial,
                accuracy_confidence=1.0 - level,
                size_bytes=finalist.candidate.size_bytes,
                predictions=finalist.candidate.predictions,
            ),
        )

    decided = decide(finalists, ask, verdict_at)
    if decided is None:
        said = " ".join(f"{name}: {why}" for name, why in crashed.items())
        raise DeviceError(f"Every candidate that was asked failed at the gate. {said}")
    winner, verdict, asked = decided
    return Decision(
        winner=winner, verdict=verdict, asked=asked, crashed=crashed, reference=reference
    )
