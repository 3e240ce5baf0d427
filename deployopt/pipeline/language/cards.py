"""Language models for targets with a card: which forms, what cannot be asked, what is predicted.

In: a target. Out: the forms of a decoder for CUDA, float16 first, and what their whole answers are
predicted to take. The builder needs no card; quality is asked of the same graph on this machine's
CPU (steps/stand_in.py). Refuses what would have to be run or timed where it is built.
"""

from collections.abc import Mapping
from importlib import metadata
from typing import Final, Literal

from deployopt.core.artifact import Precision
from deployopt.core.card import CUDA, CUDA_RUNTIME, CardNote, CardSummary
from deployopt.core.errors import UsageError
from deployopt.core.evidence import Estimate, Evidence
from deployopt.core.measurement import Machine
from deployopt.core.request import BuildRequest
from deployopt.core.target import Target
from deployopt.device.device import Device, ThisMachine
from deployopt.device.machine import evidence_of
from deployopt.pipeline.language.forms import (
    EIGHT,
    INT4,
    INT4_CALIBRATED,
    INT4_K,
    INT8_WEIGHTS,
    Form,
    form_of,
)
from deployopt.pipeline.language.requests import Requests
from deployopt.pipeline.recipes import FLOAT16
from deployopt.steps.calibrate import CalibrateDecoder
from deployopt.steps.decoder import Algorithm, ExportDecoder

_BUILDER: Final = "onnxruntime-genai"


def on_card(target: Target) -> bool:
    """Whether its language models run on a card, and not where they are built."""
    return target.runtime.provider != "cpu"


def require_built_apart(request: BuildRequest, device: Device | None = None) -> None:
    """Refuse what has to run the model where it is built, or to time it.

    Raises:
        UsageError: this was asked of a target with a card.
    """
    target = request.target
    if not on_card(target):
        return
    if target.runtime.provider != CUDA:
        raise UsageError(
            f"Target {target.name} runs on {target.runtime.provider}, and language models are "
            f"built for cpu and {CUDA}. Set runtime.provider in your own target file to {CUDA}."
        )
    if request.baseline is not None:
        raise UsageError(
            "--baseline cannot be asked of a language model for a card: both would have to answer "
            "on it, and it is not run where it is built. Leave it out; on the card's machine "
            "`deployopt compare OLD NEW` compares two bundles."
        )
    if device is not None and not isinstance(device, ThisMachine):
        raise UsageError(
            f"--device measures what is built, and a language model for {target.name} is not "
            "measured by a build. Leave it out; copy the bundle to the card's machine and run "
            "`deployopt verify` there."
        )


def evidence_for(target: Target, machine: Machine) -> Evidence:
    """What is worked out here is worth: a card's graph on a CPU is a proxy, wherever that is."""
    return Evidence.PROXY if on_card(target) else evidence_of(target, machine)


def card_forms(*, wide: bool) -> tuple[Form, ...]:
    """float16 first, then what may beat it; `wide`: those too whose making takes minutes."""
    quick = (
        form_of(
            FLOAT16,
            Precision.FP16,
            (ExportDecoder(precision="fp16", provider=CUDA),),
            "the plain decoder in float16, which others must beat",
        ),
        form_of(
            INT8_WEIGHTS,
            Precision.INT8,
            (_in_blocks("int8"),),
            "8-bit weights in blocks of 32, products in float16",
        ),
        form_of(
            INT4,
            Precision.INT4,
            (_in_blocks("int4", algorithm="rtn"),),
            "4-bit weights in blocks of 32, rounded to nearest, products in float16",
        ),
    )
    if not wide:
        return quick
    return (
        *quick,
        form_of(
            INT4_K,
            Precision.INT4,
            (_in_blocks("int4", algorithm="k_quant_mixed"),),
            "4-bit weights whose scales are fitted, 8 bits where 4 cost most",
        ),
        form_of(
            INT4_CALIBRATED,
            Precision.INT4,
            (
                CalibrateDecoder(eight=EIGHT),
                _in_blocks("int4", algorithm="rtn_last", symmetric=False),
            ),
            "4-bit weights rounded by what real text multiplies them with, 8 bits where 4 cost "
            "most",
        ),
    )


def card_summary(
    target: Target,
    predicted: Mapping[str, Estimate],
    requests: Requests,
    notes: tuple[str, ...],
) -> CardSummary | None:
    """What is expected of a form on the target's card; None for a CPU target.

    `notes` are what its steps found worth telling.
    """
    gpu = target.hardware.gpu
    if not on_card(target):
        return None
    first, rate = predicted.get("ttft_p50"), predicted.get("decode_tps_min")
    seconds = None
    if first is not None and rate is not None:
        seconds = first.value + (requests.answer - 1) / rate.value
    return CardSummary(
        compute_capability="" if gpu is None else gpu.compute_capability,
        version=builder_version(),
        answer_s=seconds,
        answer_tokens=requests.answer,
        prompt_tokens=requests.prompt,
        notes=notes,
    )


def card_note(target: Target) -> CardNote | None:
    """What the manifest of a bundle for the target's card says; None for a CPU target."""
    gpu = target.hardware.gpu
    if not on_card(target):
        return None
    return CardNote(
        provider=target.runtime.provider,
        compute_capability="" if gpu is None else gpu.compute_capability,
        runtime=CUDA_RUNTIME,
        version=builder_version(),
    )


def builder_version() -> str:
    """Of the package whose builder writes decoders."""
    return metadata.version(_BUILDER)


def _in_blocks(
    precision: Literal["int8", "int4"], algorithm: Algorithm = "default", *, symmetric: bool = True
) -> ExportDecoder:
    """Weights in blocks; embeddings stay in float16, products are worked out in it."""
    return ExportDecoder(
        precision=precision,
        provider=CUDA,
        algorithm=algorithm,
        accuracy_level=0,
        symmetric=symmetric,
        embeddings=False,
    )
