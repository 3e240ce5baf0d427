"""The gate for language models: finalists on documents that are used once, in a settled sequence.

pipeline/judging.py has the sequence; here is what is asked, and what a verdict rests on.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from deployopt.core.choice_accuracy import choice_accuracy
from deployopt.core.gate import Findings, judge
from deployopt.core.judging.scored import scores_p_value
from deployopt.core.measurement import Split
from deployopt.core.scores import ScoreTrial
from deployopt.core.verdict import Verdict
from deployopt.core.watching import Watcher
from deployopt.pipeline.candidates import Candidate
from deployopt.pipeline.judging import Decision, Finalist, decision_of
from deployopt.pipeline.language.preparing import PreparedLanguage
from deployopt.pipeline.language.scoring import reference_scores, trial_of
from deployopt.pipeline.making import Made
from deployopt.store.store import StoredObject

ScoreDecision = Decision[ScoreTrial, StoredObject]
REFERENCE: Final = "scored.npz"
"""In the store's object: what the reference says of the gate split."""


def gate_files(prepared: PreparedLanguage) -> dict[str, Path]:
    """What the gate asks, by the name that it has in the bundle's folder `gate`."""
    found = {
        "examples.npz": prepared.dataset.splits[Split.GATE].path,
        "prompts.npz": prepared.asked[Split.GATE],
        "timed.npz": prepared.timed,
    }
    if prepared.choices is not None:
        found["choices.npz"] = prepared.choices.splits[Split.GATE].path
    return found


def judge_language(
    prepared: PreparedLanguage, finalists: Sequence[Candidate], watcher: Watcher
) -> ScoreDecision:
    """Ask the gate split of as many as it takes; the reference is as the store has it.

    Raises:
        DeviceError: every finalist that was asked crashed on it.
    """
    documents = prepared.dataset.splits[Split.GATE].examples
    watcher.stage("Gate: reference", documents)
    _, reference = reference_scores(prepared, Split.GATE, watcher.advance, watcher.note)

    def ask(candidate: Candidate, made: Made) -> Finalist[ScoreTrial]:
        watcher.stage(f"Gate: {candidate.recipe.name}", documents)
        trial = trial_of(prepared, made.artifact, Split.GATE, watcher.advance)
        p_value = scores_p_value(trial, prepared.budgets)
        return Finalist(candidate=candidate, made=made, trial=trial, p_value=p_value)

    def verdict_at(finalist: Finalist[ScoreTrial], level: float) -> Verdict:
        return judge(
            prepared.request.target.name,
            prepared.budgets,
            Findings(
                artifact=finalist.made.artifact.digest,
                latency=finalist.candidate.trial,
                accuracy=choice_accuracy(finalist.trial),
                scores=finalist.trial,
                accuracy_confidence=1.0 - level,
                size_bytes=finalist.candidate.size_bytes,
                predictions=finalist.candidate.predictions,
            ),
        )

    return decision_of(finalists, ask, verdict_at, reference, watcher)
