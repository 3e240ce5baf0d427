"""The common rules of thumb, in words with their numbers beside ours: shown, never used."""

from typing import Final

from deployopt.core.architecture import Architecture
from deployopt.core.fit import Use
from deployopt.core.units import Dimension, show_quantity
from deployopt.planning.memory.weights import BITS

_INFERENCE: Final = (1.2, 1.4)
_TRAINING: Final = (3.0, 6.0)
_FOUR: Final = 4.0


def inference_thumb(uses: tuple[Use, ...], best: int | None, parameters: int) -> tuple[str, ...]:
    """Weights x 1.2 to 1.4, for the best use or the smallest."""
    if not uses:
        return ()
    use = uses[-1 if best is None else best]
    weights = parameters * BITS[use.precision] / 8
    low, high = (factor * weights for factor in _INFERENCE)
    ours = use.need.total.value * use.devices
    sentence = (
        f"{use.precision}: weights x 1.2 to 1.4 = {_range(low, high)}; here "
        f"{_size(ours)}, {_distance(ours, low, high)}."
    )
    return (sentence,)


def training_thumb(
    uses: tuple[Use, ...], best: int | None, architecture: Architecture
) -> tuple[str, ...]:
    """Fp32 weights x 3 to 6, or x 4, which speak of training all of the model."""
    if not uses:
        return ()
    weights = 4.0 * architecture.parameters
    low, high = (factor * weights for factor in _TRAINING)
    full = uses[0].need.total.value * _devices(uses[0])
    sentence = (
        f"full training: fp32 weights x 3 to 6 = {_range(low, high)}, x 4 = "
        f"{_size(_FOUR * weights)}; here {_size(full)}, {_distance(full, low, high)}."
    )
    lines = [sentence]
    if best:
        ours = uses[best].need.total.value * _devices(uses[best])
        lines.append(
            f"the same rule for what fits: here {_size(ours)}, {_distance(ours, low, high)}."
        )
    return tuple(lines)


def _devices(use: Use) -> int:
    return use.training.devices if use.training else 1


def _range(low: float, high: float) -> str:
    return f"{_size(low)} to {_size(high)}"


def _distance(ours: float, low: float, high: float) -> str:
    if ours < low:
        return f"{(low - ours) / low:.0%} below the rule".replace("%", " %")
    if ours > high:
        return f"{(ours - high) / high:.0%} above the rule".replace("%", " %")
    return "within the rule"


def _size(value: float) -> str:
    return show_quantity(value, Dimension.SIZE)
