"""A build's winner against the last accepted bundle: as `compare` does it, before it is published.

In: the winner with its verdict, and the baseline. Out: a comparison; the verdict with it counted. A
regression rejects what met every budget, and what is undecided is not accepted.
"""

from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.artifact import runtime_on
from deployopt.core.budget import limit_of
from deployopt.core.comparison import Change, Compared, Comparison
from deployopt.core.measurement import Split
from deployopt.core.metric import Kind
from deployopt.core.verdict import Outcome, Verdict
from deployopt.core.watching import Watcher
from deployopt.device.bundle_reader import OpenBundle, open_bundle
from deployopt.device.compare import compare_sides
from deployopt.device.machine import matches
from deployopt.device.ring import WALL_S, Ring, Terms
from deployopt.device.sides import Side, require_comparable, side_of
from deployopt.pipeline.answering import candidate_answers, candidate_setup, evaluation_set
from deployopt.pipeline.bundling import deployed_files
from deployopt.pipeline.judging import AccuracyDecision
from deployopt.pipeline.preparing import Prepared
from deployopt.reports.comparison_words import in_short
from deployopt.reports.words import sentences
from deployopt.store.digests import DigestMemo

_LEAST_S: Final = 120.0
"""A time limit leaves the interleaved rounds at least so long; with less nothing is decided."""


def read_baseline(path: Path | None) -> OpenBundle | None:
    """The bundle, every byte checked, before any work is done.

    Raises:
        IntegrityError: it is not the bundle that was built.
        UsageError: there is nothing there.
    """
    return None if path is None else open_bundle(path)


def check_baseline(prepared: Prepared, baseline: OpenBundle | None) -> None:
    """Raise UsageError where the model to be built answers another question than the baseline."""
    if baseline is not None:
        require_comparable(
            (baseline.manifest.name, baseline.manifest.interface),
            (prepared.source.name, prepared.source.interface),
        )


def compare_with_baseline(
    prepared: Prepared,
    decision: AccuracyDecision,
    baseline: OpenBundle | None,
    left_s: float,
    watcher: Watcher,
) -> Comparison | None:
    """The winner against the baseline; None where there is none, or nothing to be lost any more.

    Raises:
        DeviceError: the baseline cannot answer on this device.
    """
    if baseline is None or decision.verdict.outcome is Outcome.REJECTED:
        return None
    accuracy = limit_of(prepared.budgets, Kind.ACCURACY)
    terms = Terms(
        accuracy=accuracy,
        seed=prepared.request.seed,
        time_limit_s=max(_LEAST_S, min(WALL_S, left_s)),
    )
    with prepared.bench.store.stage() as workdir:
        ring = Ring(
            device=prepared.device,
            mismatch=matches(prepared.request.target, prepared.machine),
            workdir=workdir,
        )
        old, new = side_of(baseline, prepared.machine), _winner(prepared, decision, watcher)
        return compare_sides(old, new, ring, terms, watcher)


def with_baseline(verdict: Verdict, comparison: Comparison | None) -> Verdict:
    """The verdict with the comparison counted; never a better one."""
    if comparison is None or comparison.outcome is Outcome.ACCEPTED:
        return verdict
    settle = [d.settle for d in comparison.differences if d.outcome is Change.UNDECIDED]
    told = sentences(
        f"against the baseline {comparison.old.bundle or comparison.old.name}: "
        f"{in_short(comparison)}",
        *comparison.reasons,
        *dict.fromkeys(settle),
    )
    return msgspec.structs.replace(
        verdict,
        outcome=comparison.outcome,
        provisional=False,
        reasons=(*verdict.reasons, told),
    )


def _winner(prepared: Prepared, decision: AccuracyDecision, watcher: Watcher) -> Side:
    """As it will ship; its answers to the gate split are in the store already."""
    made, artifact = decision.winner.made, decision.winner.made.artifact
    target = prepared.request.target
    memo = DigestMemo()
    files = {name: memo.sha256(path) for name, path in _deployed(prepared, decision).items()}
    data = evaluation_set(prepared, Split.GATE)
    return Side(
        told=Compared(
            name=f"{prepared.source.name}-{target.name}, {made.recipe.name}",
            bundle=None,
            artifact=artifact.digest,
            target=target.name,
            outcome=decision.verdict.word,
            precision=artifact.precision,
            runtime=runtime_on(target.runtime.provider, artifact),
            size_bytes=sum(path.stat().st_size for path in _deployed(prepared, decision).values()),
        ),
        target=target,
        setup=candidate_setup(prepared, artifact),
        data=data,
        data_digest=memo.sha256(data.examples),
        reference=decision.reference,
        files=files,
        reduced_range=prepared.reduced_range,
        synthetic=prepared.dataset.synthetic,
        evaluation=candidate_answers(prepared, artifact, Split.GATE, watcher.advance),
    )


def _deployed(prepared: Prepared, decision: AccuracyDecision) -> dict[str, Path]:
    return deployed_files(decision.winner.made.artifact, prepared.source)
