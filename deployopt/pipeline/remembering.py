"""What a build measured on the target is kept beside its prediction, for later predictions.

On another machine nothing is: the prediction is for the target, and this machine has no profile
of its own to predict from.
"""

from collections.abc import Sequence

from deployopt.core.artifact import runtime_on
from deployopt.core.evidence import Evidence
from deployopt.core.experience import (
    Experience,
    Seat,
    experiences_of,
    machine_digest,
    runtime_words,
)
from deployopt.core.summaries import measured_of
from deployopt.pipeline.candidates import Candidate
from deployopt.pipeline.ground import Ground
from deployopt.store.experiences import keep_experiences


def remember(prepared: Ground, candidates: Sequence[Candidate]) -> str | None:
    """Keep every candidate's figures; why they could not be kept, or None."""
    if prepared.evidence is not Evidence.TARGET:
        return None
    if prepared.request.target.workload.requests_per_s is not None:
        return None  # waiting is no property of the device
    found = tuple(e for c in candidates for e in _of(prepared, c))
    return keep_experiences(found, prepared.bench.store.layout.root)


def _of(prepared: Ground, candidate: Candidate) -> tuple[Experience, ...]:
    made, trial, foreseen = candidate.made, candidate.trial, candidate.foreseen
    if made is None or trial is None or foreseen is None or candidate.fault is not None:
        return ()
    target = prepared.request.target
    seat = Seat(
        target=target.name,
        machine=machine_digest(prepared.machine, prepared.machine.gpus),
        runtime=runtime_words(
            target.runtime.provider,
            prepared.machine.packages,
            runtime_on(target.runtime.provider, made.artifact),
        ),
        artifact=made.artifact.digest,
        precision=made.artifact.precision,
    )
    return experiences_of(
        seat, foreseen, measured_of(trial, prepared.budgets, candidate.size_bytes, candidate.scores)
    )
