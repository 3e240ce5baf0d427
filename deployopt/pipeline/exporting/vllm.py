"""What vLLM is told to serve a model on a target: precision, split, context, requests at once.

In: a model's shape and a target with GPUs. Out: settings under vLLM's own names, all of them worked
out by the arithmetic of `fit`; nothing is run. Refuses a target without a GPU, a precision that
vLLM has no way to, and a model that fits in none.
"""

import math
from collections.abc import Mapping
from typing import Final

import msgspec

from deployopt.core.architecture import Architecture
from deployopt.core.artifact import Precision
from deployopt.core.card import has_float8
from deployopt.core.errors import CannotFitError, ExitCode, UsageError
from deployopt.core.evidence import Estimate
from deployopt.core.exporting import ExportRequest
from deployopt.core.fit import Fit, Use
from deployopt.core.request import FitRequest
from deployopt.core.standing import Standing
from deployopt.core.target import Target
from deployopt.planning.fitting import fit_inference
from deployopt.planning.fitting.inference import CONTEXT_MAX
from deployopt.planning.generation import predict_generation
from deployopt.planning.usable import card_count

VERSION: Final = "0.33"
"""Of vLLM, whose option names these are."""
OPTIONS: Final = frozenset(
    {
        "dtype",
        "gpu-memory-utilization",
        "max-model-len",
        "max-num-seqs",
        "model",
        "quantization",
        "revision",
        "served-model-name",
        "tensor-parallel-size",
    }
)
"""All that are ever written: a test compares them with those of that version."""
ONLINE: Final[Mapping[Precision, str]] = {
    Precision.FP8: "fp8_per_tensor",
    Precision.INT8: "int8_per_channel_weight_only",
}
"""What vLLM makes of float weights by itself, as it loads them."""
_DTYPES: Final[Mapping[Precision, str]] = {
    Precision.FP32: "float32",
    Precision.BF16: "bfloat16",
    Precision.FP16: "float16",
}
_NATIVE: Final[Mapping[str, Precision]] = {"float16": Precision.FP16}
_SEQUENCES: Final = 256
_USUAL: Final = 2048
_BLOCK: Final = 16
_LEAST: Final = 32
_UTILIZATION: Final = 0.95
_PROMPT: Final = 512
_PAIRS: Final = 2


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """Settings but for the model's place, and what is expected of them."""

    precision: Precision
    settings: dict[str, str | int | float]
    predicted: dict[str, Estimate]
    usual: int
    """Tokens of each request that `max-num-seqs` counts with."""
    warnings: tuple[str, ...]
    exit_code: ExitCode


def vllm_recipe(request: ExportRequest, name: str, architecture: Architecture) -> Recipe:
    """How to serve the model on the request's target.

    Raises:
        UsageError: the target has no GPU that runs models, or the precision is none of vLLM's.
        CannotFitError: it does not fit the target; says what would.
    """
    target = _gpu_target(request)
    _check_context(request.context, architecture)
    asked = FitRequest(
        model=name,
        target=target,
        precisions=_precisions(request, architecture, target),
        context=request.context,
    )
    fit = fit_inference(asked, name, architecture)
    use = _best(fit, request)
    usual = min(_USUAL, use.context or _USUAL)
    several = fit_inference(
        msgspec.structs.replace(asked, precisions=(use.precision,), context=usual),
        name,
        architecture,
    ).uses[0]
    length = request.context or _longest(use, architecture)
    at_once = max(1, min(_SEQUENCES, several.largest_batch or 1))
    settings: dict[str, str | int | float] = {
        "dtype": _DTYPES[_half(architecture, target, use.precision)],
        "tensor-parallel-size": use.devices,
        "max-model-len": length,
        "max-num-seqs": at_once,
        "gpu-memory-utilization": _utilization(target),
    }
    if use.precision in ONLINE:
        settings["quantization"] = ONLINE[use.precision]
    unsettled = use.standing is Standing.UNSETTLED
    doubt = (
        f"The band of the memory that {use.precision} needs reaches over what {target.name} has: "
        "it may not start."
    )
    return Recipe(
        precision=use.precision,
        settings=settings,
        predicted=_predicted(target, architecture, use, usual),
        usual=usual,
        warnings=(*fit.warnings, *((doubt,) if unsettled else ())),
        exit_code=ExitCode.UNDECIDED if unsettled else ExitCode.ACCEPTED,
    )


def _gpu_target(request: ExportRequest) -> Target:
    target = request.target
    if target is None:
        raise UsageError(
            "No target was given, and what vLLM is told follows from it. Add --target NAME; "
            "`deployopt targets` lists them."
        )
    if target.hardware.gpu is None or target.runtime.provider == "cpu":
        raise UsageError(
            f"vLLM serves on GPUs, and {target.name} runs models on its CPU. Name a target with a "
            "GPU (`deployopt targets` lists them), or build for this one: deployopt build --target "
            f"{target.name} --model {request.source}"
        )
    return target


def _check_context(asked: int | None, architecture: Architecture) -> None:
    most = architecture.positions or CONTEXT_MAX
    if asked is not None and not _LEAST <= asked <= most:
        raise UsageError(
            f"--context {asked} is not possible: the model has {most:,} tokens at most, and "
            f"{_LEAST} are the least."
        )


def _precisions(
    request: ExportRequest, architecture: Architecture, target: Target
) -> tuple[Precision, ...]:
    """From the model's own down: what memory a lower one saves is its only reason."""
    native = _half(architecture, target, None)
    walked = [native, Precision.INT8, Precision.INT4]
    if has_float8(target.compute_capability):
        walked.insert(1, Precision.FP8)
    if request.precision is None:
        return tuple(walked)
    ways = {*walked, Precision.FP32, Precision.FP16, native}
    if request.precision not in ways:
        known = ", ".join(sorted(ways))
        raise UsageError(
            f"For vLLM on {target.name} there is no way to {request.precision}. There is one to "
            f"{known}."
        )
    return (request.precision,)


def _half(architecture: Architecture, target: Target, asked: Precision | None) -> Precision:
    """What is computed in: as asked for, else the model's own, bf16 where it has a range of its."""
    if asked is not None and asked in _DTYPES:
        return asked
    native = _NATIVE.get(architecture.dtype or "", Precision.BF16)
    return native if target.hardware.peak.bf16 is not None else Precision.FP16


def _best(fit: Fit, request: ExportRequest) -> Use:
    """The highest that surely fits, else the lowest that may."""
    if fit.best is not None:
        return fit.uses[fit.best]
    perhaps = [use for use in fit.uses if use.standing is Standing.UNSETTLED]
    if perhaps:
        return perhaps[-1]
    tokens = "" if request.context is None else f" with {request.context:,} tokens"
    raise CannotFitError(
        f"{fit.model} does not fit {fit.target.name}{tokens}. {' '.join(fit.give_up)}".strip()
    )


def _longest(use: Use, architecture: Architecture) -> int:
    """Tokens that one request may have: the model's own, or as many as there is memory for."""
    longest = architecture.positions or _USUAL
    found = use.largest_context or _LEAST
    return longest if found >= longest else max(_LEAST, found // _BLOCK * _BLOCK)


def _utilization(target: Target) -> float:
    """The share of a card's memory that may be taken, two places, rounded down."""
    share = float(target.hardware.memory_usable) / float(target.hardware.memory)
    return min(_UTILIZATION, math.floor(share * 100) / 100)


def _predicted(
    target: Target, architecture: Architecture, use: Use, usual: int
) -> dict[str, Estimate]:
    prompt = min(_PROMPT, max(1, usual // _PAIRS))
    speeds = predict_generation(
        target,
        architecture,
        use.precision,
        prompt=prompt,
        context=usual,
        batch=1,
        devices=use.devices,
    )
    return {"memory_bytes": use.need.total, **speeds}


def sharing(target: Target, devices: int) -> str:
    """`2 of 4 GPUs`."""
    return f"{devices} of {card_count(target)} GPUs"
