"""`fit`: look a model up, work out what it needs on the target, say how fast it would be.

In: a request. Out: a result with its exit code: 0 something fits, 1 nothing does, 3 the band of
the prediction reaches over what is usable. Weights are neither read nor downloaded.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from deployopt.core.architecture import Architecture
from deployopt.core.artifact import Precision
from deployopt.core.errors import ExitCode, UsageError
from deployopt.core.evidence import Estimate
from deployopt.core.fit import Fit, Use
from deployopt.core.request import FitRequest
from deployopt.core.result import FitResult
from deployopt.core.standing import Standing
from deployopt.core.target import Target
from deployopt.core.workload import Workload
from deployopt.pipeline.looking import look_up
from deployopt.planning.fitting import fit_graph, fit_inference, fit_training
from deployopt.planning.fitting.inference import BATCH_MAX, CONTEXT_MAX
from deployopt.planning.generation import predict_generation
from deployopt.planning.operations import facts_of
from deployopt.planning.predict import predict_latency

_EXIT: Final[Mapping[Standing, ExitCode]] = {
    Standing.INSIDE: ExitCode.ACCEPTED,
    Standing.UNSETTLED: ExitCode.UNDECIDED,
    Standing.OUTSIDE: ExitCode.REJECTED,
}
# Tokens of the prompt that the time to the first token is predicted for, where they fit.
_PROMPT: Final = 512


def run_fit(request: FitRequest) -> FitResult:
    """The answer; raises what the model's lookup raises.

    Raises:
        UsageError: a batch or a context out of range, or training asked of a graph.
    """
    _check(request)
    found = look_up(request.model, request.by_hand, lock=request.lock, store=request.store)
    if found.architecture is not None:
        work_out = fit_training if request.training else fit_inference
        answer = _with_speed(work_out(request, found.name, found.architecture))
    elif found.facts is not None and not request.training:
        answer = fit_graph(request, found.name, found.facts)
    else:
        raise UsageError(
            f"{found.name} is a graph, and fine-tuning is worked out from a model's config. Name "
            "the folder or the hub model that it was exported from."
        )
    warnings = (*found.warnings, *answer.warnings, *_about_place(request))
    answer = msgspec.structs.replace(answer, warnings=warnings)
    return FitResult(fit=answer, exit_code=_exit_code(answer))


def _check(request: FitRequest) -> None:
    if not 1 <= request.batch <= BATCH_MAX:
        raise UsageError(f"--batch {request.batch} is not between 1 and {BATCH_MAX:,}.")
    if request.context is not None and not 1 <= request.context <= CONTEXT_MAX:
        raise UsageError(f"--context {request.context} is not between 1 and {CONTEXT_MAX:,}.")
    if Precision.MIXED in request.precisions:
        raise UsageError("--precision mixed is what a graph may turn out to be. Name one.")
    if request.methods and not request.training:
        raise UsageError("--method is a way of training. Add --training.")


def _about_place(request: FitRequest) -> tuple[str, ...]:
    """Memory is not all that training takes."""
    if not request.training or request.target.hardware.arch != "aarch64":
        return ()
    # All of the advice comes with it, which nothing else here needs.
    from deployopt.planning.recommending.sites import trains

    if trains(request.target):
        return ()
    text = f"{request.target.name} is for inference: what fits its memory would train for days."
    return (f"{text} `deployopt recommend` names a machine to train on.",)


def _exit_code(answer: Fit) -> ExitCode:
    standings = {use.standing for use in answer.uses}
    order = (Standing.INSIDE, Standing.UNSETTLED, Standing.OUTSIDE)
    return _EXIT[next((s for s in order if s in standings), Standing.OUTSIDE)]


def _with_speed(answer: Fit) -> Fit:
    architecture = answer.architecture
    if architecture is None:
        return answer
    uses = tuple(
        use
        if use.training is not None
        else msgspec.structs.replace(use, predicted=_speed(answer.target, architecture, use))
        for use in answer.uses
    )
    return msgspec.structs.replace(answer, uses=uses)


def _speed(target: Target, architecture: Architecture, use: Use) -> dict[str, Estimate]:
    """How fast, where it fits at all and the target gives the peaks that it takes."""
    if use.standing is Standing.OUTSIDE:
        return {}
    if architecture.generates:
        context = use.context or _PROMPT
        return predict_generation(
            target,
            architecture,
            use.precision,
            prompt=min(_PROMPT, max(1, context // 2)),
            context=context,
            batch=use.batch,
            devices=use.devices,
        )
    facts = facts_of(architecture, Workload(batch=use.batch), use.context)
    latency = predict_latency(target, facts, use.precision)
    return {} if latency is None else {"latency_s": latency}
