"""Engines of TensorRT for RTX: what is built for a target's card, on a machine without it.

In: a target, a plain float graph. Out: what an engine is built for, and the forms of one.
"""

from typing import Final

import msgspec

from deployopt.core.artifact import Artifact
from deployopt.core.card import has_float8
from deployopt.core.engine import InputRange, sm_of, workspace_of
from deployopt.core.target import Target
from deployopt.pipeline.card_forms import Abilities, CardForm, card_forms
from deployopt.planning.usable import usable_bytes
from deployopt.steps.engine import BuildEngine

RTX: Final = "tensorrt-rtx"


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


def engine_steps(
    place: EnginePlace, source: Artifact, *, convolutional: bool
) -> tuple[CardForm, ...]:
    """The forms of an engine: of every card that the builder knows it has int8."""
    sm = sm_of(place.compute_capability)
    abilities = Abilities(int8=True, float8=has_float8(place.compute_capability))
    return card_forms(
        source,
        place.step,
        lambda how: f"an engine for {sm} {how}",
        abilities,
        convolutional=convolutional,
    )
