"""Engines of TensorRT for RTX: what is built for a target's card, on a machine without it.

In: a target, a plain float graph. Out: what an engine is built for, and the forms of one.
"""

from typing import Final

import msgspec

from deployopt.core.artifact import Artifact, Format, Precision
from deployopt.core.engine import InputRange, sm_of, workspace_of
from deployopt.core.recipe import Step
from deployopt.core.target import Target
from deployopt.planning.usable import usable_bytes
from deployopt.steps.engine import BuildEngine
from deployopt.steps.half import ConvertHalf
from deployopt.steps.symmetric import QuantizeSymmetric

RTX: Final = "tensorrt-rtx"
HALF: Final = "fp16"


class EnginePlace(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine is built for: the card, the host beside it, and the shapes of requests."""

    compute_capability: str
    platform: str
    workspace_bytes: int
    profile: tuple[InputRange, ...] = ()

    @property
    def step(self) -> BuildEngine:
        """The last step of every form."""
        return BuildEngine(
            compute_capability=self.compute_capability,
            platform=self.platform,
            profile=self.profile,
            workspace_bytes=self.workspace_bytes,
        )


def engine_place(target: Target, profile: tuple[InputRange, ...] = ()) -> EnginePlace | None:
    """What an engine for the target's card is built for; None for a target without one."""
    gpu = target.hardware.gpu
    if gpu is None:
        return None
    return EnginePlace(
        compute_capability=gpu.compute_capability,
        platform=target.hardware.arch,
        workspace_bytes=workspace_of(usable_bytes(target)),
        profile=profile,
    )


def as_it_came(source: Artifact) -> bool:
    """Whether no form is made of a model: it is quantized or in half precision already."""
    if source.precision in {Precision.INT8, Precision.MIXED}:
        return True
    # Another model's half floats are made float32 by the export.
    return source.format is Format.ONNX and source.precision is Precision.FP16


def engine_steps(
    place: EnginePlace, source: Artifact, *, convolutional: bool
) -> tuple[tuple[str, tuple[Step, ...], str], ...]:
    """Name, steps behind the plain float graph, and reason of each form of an engine."""
    sm = sm_of(place.compute_capability)
    if as_it_came(source):
        return (("float", (place.step,), f"an engine for {sm} in the graph's own precisions"),)
    whole = (
        "float",
        (place.step,),
        f"an engine for {sm} in fp32, TF32 off; others have to beat it",
    )
    half = ConvertHalf()
    # A transformer's values have outliers that carry meaning; a convolution net's are cut off.
    pairs = QuantizeSymmetric(calibration="percentile" if convolutional else "minmax")
    return (
        whole,
        (HALF, (half, place.step), f"an engine for {sm} in fp16, ranges checked on real inputs"),
        (
            "int8",
            (pairs, half, place.step),
            f"an engine for {sm} with static int8 products (signed, symmetric), the rest in fp16",
        ),
    )
