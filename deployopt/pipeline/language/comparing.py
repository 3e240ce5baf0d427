"""A language model's winner against the last accepted bundle, before it is published.

In: the winner with its verdict, and the baseline. Out: a comparison, as pipeline/comparing.py has
it of classifiers; `with_baseline` there counts it in the verdict.
"""

import hashlib

from deployopt.core.budget import limit_of
from deployopt.core.comparison import Compared, Comparison
from deployopt.core.errors import UsageError
from deployopt.core.interface import PromptInputs
from deployopt.core.metric import Kind
from deployopt.core.scores import decode_scored
from deployopt.core.verdict import Outcome
from deployopt.core.watching import Watcher
from deployopt.device.bundle_reader import OpenBundle
from deployopt.device.generating.asking import Questions
from deployopt.device.generating.comparing import compare_language
from deployopt.device.generating.sides import (
    TOKENIZER,
    LanguageSide,
    language_side_of,
    require_same_tokens,
)
from deployopt.device.machine import matches
from deployopt.device.ring import Ring, Terms
from deployopt.device.setup import setup_of
from deployopt.device.sides import require_comparable
from deployopt.pipeline.bundling import deployed_files
from deployopt.pipeline.language.judging import REFERENCE, ScoreDecision, gate_files
from deployopt.pipeline.language.preparing import PreparedLanguage
from deployopt.store.digests import DigestMemo


def check_language_baseline(prepared: PreparedLanguage, baseline: OpenBundle | None) -> None:
    """Refuse before any work what could not be compared after it.

    Raises:
        UsageError: the baseline answers another question, reads other tokens, or has no room.
    """
    if baseline is None:
        return
    source, name = prepared.source, baseline.manifest.name
    require_comparable((name, baseline.manifest.interface), (source.name, source.interface))
    model = baseline.folder / baseline.manifest.model
    require_same_tokens(
        (name, model.with_name(TOKENIZER)), (source.name, source.artifact.folder / TOKENIZER)
    )
    inputs, wanted = baseline.manifest.interface.inputs, prepared.requests.context
    if isinstance(inputs, PromptInputs) and inputs.context < wanted:
        raise UsageError(
            f"The baseline {baseline.folder} takes a context of {inputs.context:,} tokens, and "
            f"{wanted:,} are asked for. Set workload.context in the target to what both take, or "
            "name another baseline."
        )


def compare_language_with_baseline(
    prepared: PreparedLanguage,
    decision: ScoreDecision,
    baseline: OpenBundle | None,
    watcher: Watcher,
) -> Comparison | None:
    """The winner against the baseline; None where there is none, or nothing to be lost any more.

    Raises:
        DeviceError: the baseline cannot answer on this device.
    """
    if baseline is None or decision.verdict.outcome is Outcome.REJECTED:
        return None
    budgets = prepared.budgets
    terms = Terms(
        accuracy=limit_of(budgets, Kind.ACCURACY),
        nll=limit_of(budgets, Kind.SCORE),
        seed=prepared.request.seed,
    )
    with prepared.bench.store.stage() as workdir:
        ring = Ring(
            device=prepared.device,
            mismatch=matches(prepared.request.target, prepared.machine),
            workdir=workdir,
        )
        old = language_side_of(baseline, prepared.machine)
        return compare_language(old, _winner(prepared, decision), ring, terms, watcher)


def _winner(prepared: PreparedLanguage, decision: ScoreDecision) -> LanguageSide:
    """As it will ship."""
    made, artifact = decision.winner.made, decision.winner.made.artifact
    target, inputs = prepared.request.target, prepared.source.interface.inputs
    if not isinstance(inputs, PromptInputs):
        raise UsageError(f"{prepared.source.name} is no language model.")
    memo, files = DigestMemo(), deployed_files(artifact, prepared.source)
    asked = gate_files(prepared)
    questions = Questions(
        documents=asked["examples.npz"],
        asked=asked["prompts.npz"],
        timed=asked["timed.npz"],
        choices=asked.get("choices.npz"),
    )
    reference = decision.reference.folder / REFERENCE
    return LanguageSide(
        told=Compared(
            name=f"{prepared.source.name}-{target.name}, {made.recipe.name}",
            bundle=None,
            artifact=artifact.digest,
            target=target.name,
            outcome=decision.verdict.word,
            precision=artifact.precision,
            runtime=artifact.runtime,
            size_bytes=sum(path.stat().st_size for path in files.values()),
        ),
        target=target,
        setup=setup_of(artifact, target, prepared.machine, prepared.source.interface.outputs),
        inputs=inputs,
        questions=questions,
        digests=(
            memo.sha256(questions.documents),
            memo.sha256(questions.asked),
            hashlib.sha256(reference.read_bytes()).hexdigest(),
        ),
        reference=decode_scored(reference),
        files={name: memo.sha256(path) for name, path in files.items()},
        reduced_range=prepared.reduced_range,
    )
