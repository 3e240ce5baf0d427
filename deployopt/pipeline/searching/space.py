"""Which shapes are thought of for a model: what of its layers, neurons, heads, channels is kept.

In: a config and an effort. Out: profiles, the largest first, the whole model not among them; none
for families that cannot be cut. Light: reads names and numbers only.
"""

from collections.abc import Mapping
from typing import Final

from deployopt.core.search import Effort, Profile

_DEPTHS: Final = {
    Effort.DEFAULT: (1.0, 5 / 6, 2 / 3, 1 / 2, 1 / 3),
    Effort.EXTENSIVE: (1.0, 5 / 6, 2 / 3, 1 / 2, 1 / 3, 1 / 4, 1 / 6),
}
_FFN: Final = {Effort.DEFAULT: (1.0, 0.5, 0.25), Effort.EXTENSIVE: (1.0, 0.75, 0.5, 0.375, 0.25)}
_HEADS: Final = {Effort.DEFAULT: (1.0,), Effort.EXTENSIVE: (1.0, 2 / 3)}
_CHANNELS: Final = {
    Effort.DEFAULT: (0.85, 0.7, 0.55, 0.4),
    Effort.EXTENSIVE: (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3),
}


def profiles(config: Mapping[str, object], effort: Effort) -> tuple[Profile, ...]:
    """The shapes to be timed."""
    from deployopt.modeling.pruning.families import family_of, whole_shape
    from deployopt.modeling.pruning.kinds import pruned_by

    kind = pruned_by(str(config.get("model_type")))
    if effort is Effort.QUICK or kind is None:
        return ()
    if kind == "channels":
        return tuple(Profile(channels=share) for share in _CHANNELS[effort])
    whole = whole_shape(config)
    if whole is None:
        return ()
    total = len(whole.layers)
    depths = sorted({max(1, round(total * share)) for share in _DEPTHS[effort]}, reverse=True)
    can_drop_heads = family_of(config.get("model_type")).head_dim_key is not None
    heads = _HEADS[effort] if can_drop_heads else (1.0,)
    found = (
        Profile(
            layers=() if depth == total else kept_layers(total, depth),
            ffn=ffn,
            heads=max(1, round(whole.heads * share)) / whole.heads,
        )
        for depth in depths
        for ffn in _FFN[effort]
        for share in heads
    )
    return tuple(dict.fromkeys(profile for profile in found if not profile.whole))


def kept_layers(total: int, kept: int) -> tuple[int, ...]:
    """`kept` of `total` layers, evenly spread, the first and the last among them.

    The last one is what the head was trained on; one alone is the first.
    """
    if kept == 1:
        return (0,)
    return tuple((at * (total - 1) * 2 + kept - 1) // (2 * (kept - 1)) for at in range(kept))
