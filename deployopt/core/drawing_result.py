"""What `run` draws with: settings of one image, and what is said of it when it is written."""

import math
from typing import Final

import msgspec

from deployopt.core.errors import UsageError

SCHEMA_VERSION: Final = 1
SEED_MAX: Final = 2**64 - 1
_GUIDANCE_MAX: Final = 100.0


class DrawingSettings(msgspec.Struct, frozen=True, kw_only=True):
    """None stands for what the bundle was judged with."""

    negative: str = ""
    seed: int = 0
    steps: int | None = None
    guidance: float | None = None

    def check(self) -> None:
        """Raise UsageError where nothing could be drawn so."""
        if not 0 <= self.seed <= SEED_MAX:
            raise UsageError(f"--seed is {self.seed}, and must be from 0 to {SEED_MAX}.")
        guidance = self.guidance
        if guidance is not None and not (
            math.isfinite(guidance) and 0.0 <= guidance <= _GUIDANCE_MAX
        ):
            raise UsageError(
                f"--guidance is {guidance:g}, and must be from 0 to {_GUIDANCE_MAX:g}; up to 1 "
                "draws without it."
            )


class DrawResult(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `run --json` prints for a model that draws."""

    schema_version: int = SCHEMA_VERSION
    output: str
    width: int
    height: int
    prompt: str
    negative: str
    seed: int
    steps: int
    guidance: float
    seconds: float
    parts_s: dict[str, float]
    """Of these, what each graph took."""
    tokens: int
    """Of the prompt, with its marks; those beyond `tokens_read` did not count."""
    tokens_read: int
    judged: bool
    """Whether steps and guidance are those that the bundle was judged with."""
