"""The config of a narrower convolution net: which keys change for a share of its channels.

Only what a config can say is offered, so that what comes out loads, saves and exports as any other
model. Widths are multiples of 8, which is what the int8 and fp32 kernels of CPUs take at once.

Not here, though they convolve: ConvNeXt, PoolFormer, LeViT, MobileViT and BiT normalize over all
channels at once, so that every other channel changes when one goes; RegNet's groups of channels
hang together over the whole net; HGNet concatenates.
"""

from collections.abc import Callable, Mapping
from typing import Final

from deployopt.core.errors import StepError

MULTIPLE: Final = 8
_REDUCTION: Final = 4
_STEP: Final = 0.125
_TOP: Final = 1280

Config = Mapping[str, object]
Changes = dict[str, object]


def narrower(config: Config, share: float) -> Changes:
    """The keys of the config that change when about `share` of the channels stay.

    Raises:
        StepError: a family that is not known, a share outside 0 to 1, or one at which widths that
            differ would become equal, which changes how such a net is built.
    """
    kind = str(config.get("model_type"))
    if not 0 < share <= 1:
        raise StepError(f"The share of channels to keep is {share}; it is above 0, at most 1.")
    change = NARROWERS.get(kind)
    if change is None:
        raise StepError(
            f"Models of the type {kind[:64]!r} cannot lose channels: no config says what would be "
            f"left. Those that can are {', '.join(NARROWERS)}. Leave the channels whole."
        )
    return {} if share == 1 else change(config, share)


def _resnet(config: Config, share: float) -> Changes:
    """Multiples of 8 in the residual stream, and within bottlenecks, which are a quarter of it."""
    stem, sizes = _number(config, "embedding_size", 64), _numbers(config, "hidden_sizes")
    bottleneck = config.get("layer_type", "bottleneck") == "bottleneck"
    multiple = MULTIPLE * (_REDUCTION if bottleneck else 1)
    before = (stem, *sizes)
    after = (
        _rounded(stem, share, MULTIPLE if stem != sizes[0] else multiple),
        *(_rounded(size, share, multiple) for size in sizes),
    )
    _same_pattern(before, after, share)
    return {"embedding_size": after[0], "hidden_sizes": list(after[1:])}


def _mobilenet_v1(config: Config, share: float) -> Changes:
    """Widths are powers of two times the multiplier: eighths keep them at multiples of 8."""
    before = _real(config, "depth_multiplier", 1.0)
    after = max(_STEP, round(before * share / _STEP) * _STEP)
    return {"depth_multiplier": min(before, after)}


def _mobilenet_v2(config: Config, share: float) -> Changes:
    """The class rounds widths to `depth_divisible_by` itself."""
    return {"depth_multiplier": round(_real(config, "depth_multiplier", 1.0) * share, 4)}


def _efficientnet(config: Config, share: float) -> Changes:
    """The class rounds widths to `depth_divisor`; the last one stands in the config once more."""
    width = round(_real(config, "width_coefficient", 1.0) * share, 4)
    divisor = _number(config, "depth_divisor", MULTIPLE)
    scaled = _TOP * width
    top = max(divisor, int(scaled + divisor / 2) // divisor * divisor)
    # As the class does: never more than a tenth below.
    top += divisor if top < 0.9 * scaled else 0
    return {"width_coefficient": width, "hidden_dim": top}


NARROWERS: Final[Mapping[str, Callable[[Config, float], Changes]]] = {
    "efficientnet": _efficientnet,
    "mobilenet_v1": _mobilenet_v1,
    "mobilenet_v2": _mobilenet_v2,
    "resnet": _resnet,
}


def _same_pattern(before: tuple[int, ...], after: tuple[int, ...], share: float) -> None:
    """Raise StepError where neighbours became equal: a block would lose or gain its shortcut."""
    pairs = zip(before, before[1:], after, after[1:], strict=False)
    if any((a == b) is not (c == d) for a, b, c, d in pairs):
        raise StepError(
            f"With {100 * share:.0f} % of its channels the model's widths {list(before)} would "
            f"become {list(after)}: widths that differ would be equal, and its blocks built "
            "otherwise. Keep more channels."
        )


def _rounded(width: int, share: float, multiple: int) -> int:
    return min(width, max(multiple, round(width * share / multiple) * multiple))


def _number(config: Config, key: str, default: int) -> int:
    value = config.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise StepError(f"The config's {key} is {value!r}, not a whole number above zero.")
    return value


def _real(config: Config, key: str, default: float) -> float:
    value = config.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise StepError(f"The config's {key} is {value!r}, not a number above zero.")
    return float(value)


def _numbers(config: Config, key: str) -> tuple[int, ...]:
    values = config.get(key, [256, 512, 1024, 2048])
    if not isinstance(values, list) or not values:
        raise StepError(f"The config's {key} is {values!r}, not a list of widths.")
    return tuple(_number({key: value}, key, 1) for value in values)
