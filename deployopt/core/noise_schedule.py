"""How much noise a step of a drawing has: data of a model's folder, read by whoever draws."""

from typing import Annotated, Literal

import msgspec


class NoiseSchedule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """As diffusers' DDIM scheduler takes it; steps without added noise (eta is 0).

    `betas` is the way from `beta_start` to `beta_end` over `train_steps`. `spacing` says which of
    these a drawing of fewer steps visits, `offset` is added to them where it is leading.
    `prediction` is what the UNet answers: the noise, or its velocity.
    """

    train_steps: Annotated[int, msgspec.Meta(ge=1, le=100_000)]
    beta_start: Annotated[float, msgspec.Meta(gt=0, lt=1)]
    beta_end: Annotated[float, msgspec.Meta(gt=0, lt=1)]
    betas: Literal["linear", "scaled_linear"]
    prediction: Literal["epsilon", "v_prediction"]
    spacing: Literal["leading", "trailing", "linspace"]
    offset: Annotated[int, msgspec.Meta(ge=0, le=1)]
    ends_clean: bool
    """After the last step nothing is left of the noise; else as much as the first beta has."""
