"""A model that is known by its sizes only: what a person gave, completed by what is usual.

In: the parameters and any of layers, hidden, heads, ... Out: an `Architecture` with exactly those
parameters whose `basis` says what was given and what was worked out. Sizes that contradict the
parameters are refused.
"""

import math
from typing import Final

import msgspec

from deployopt.core.architecture import Architecture, Stack
from deployopt.core.errors import UsageError
from deployopt.core.request import ByHand
from deployopt.planning.architectures.keys import HEADS, LAYERS, SIZE, VOCABULARY, show
from deployopt.planning.architectures.usual import Shape, nearest, usual_layers

LEAST: Final = 100_000
MOST: Final = 10**13
_NEAR: Final = 1.02
_TOO_MANY: Final = 1.5
_TOO_FEW: Final = 0.5
_TABLE_SHARE: Final = 128
"""Parameters to each word of the vocabulary, at least, where none is given."""
_POSITIONS: Final = 512
_HEAD_WIDTHS: Final = (128, 64, 96, 80, 32)
_STEPS: Final = ((4096, 1024), (1024, 256), (512, 128), (64, 64), (0, 8))
"""From which hidden size on it is usually a multiple of what."""
_SMALL_HIDDEN: Final = 2048
_BOUNDS: Final = {
    "layers": ("--layers", 1, LAYERS),
    "hidden": ("--hidden", 1, SIZE),
    "heads": ("--heads", 1, HEADS),
    "kv_heads": ("--kv-heads", 1, HEADS),
    "ffn": ("--ffn", 1, SIZE),
    "vocabulary": ("--vocabulary", 0, VOCABULARY),
}


def typical_architecture(parameters: int, *, encoder: bool = False) -> Architecture:
    """The usual shape of a model of this size, said in `basis`.

    Raises:
        UsageError: the number of parameters cannot be.
    """
    _check(parameters, "--params", LEAST, MOST)
    shape = nearest(parameters, encoder=encoder)
    if not 1 / _NEAR <= parameters / shape.parameters <= _NEAR:
        return hand_architecture(ByHand(parameters=parameters, encoder=encoder))
    basis = f"{_named(parameters)} in the shape of {shape.name}{_attention(shape)}"
    return _built(shape, parameters, encoder=encoder, basis=basis)


def hand_architecture(sizes: ByHand) -> Architecture:
    """The given sizes, the missing ones worked out from the parameters.

    Raises:
        UsageError: a size cannot be, or together they contradict the parameters.
    """
    _check(sizes.parameters, "--params", LEAST, MOST)
    for name, (option, least, most) in _BOUNDS.items():
        value = getattr(sizes, name)
        if value is not None:
            _check(value, option, least, most)
    usual = nearest(sizes.parameters, encoder=sizes.encoder)
    shape = _completed(sizes, usual)
    counted = counted_parameters(shape)
    _agree(sizes.parameters, counted, shape)
    return _built(
        shape, sizes.parameters, encoder=sizes.encoder, basis=_basis(sizes, shape, counted)
    )


def counted_parameters(shape: Shape) -> int:
    """What these sizes add up to, norms and biases left out (under 1 %)."""
    table = shape.vocabulary * shape.hidden * (1 if shape.tied else 2)
    return table + shape.layers * _layer(shape)


def _layer(shape: Shape) -> int:
    kept = shape.hidden * shape.kv_heads // shape.heads
    attention = 2 * shape.hidden * (shape.hidden + kept)
    return attention + (3 if shape.gated else 2) * shape.hidden * shape.ffn


def _completed(sizes: ByHand, usual: Shape) -> Shape:
    """Widths first, then whichever of layers and feed-forward is open."""
    shape = msgspec.structs.replace(
        usual,
        name="",
        parameters=sizes.parameters,
        vocabulary=_usual_vocabulary(sizes, usual),
        layers=sizes.layers or usual_layers(sizes.parameters, encoder=sizes.encoder),
    )
    hidden = sizes.hidden or _solved_hidden(sizes, shape)
    heads = sizes.heads or _usual_heads(hidden, sizes.kv_heads or 1)
    kv_heads = sizes.kv_heads or _usual_kv_heads(heads, usual)
    if hidden % heads:
        raise _contradiction(f"--hidden {hidden} is no multiple of --heads {heads}")
    if heads % kv_heads:
        raise _contradiction(f"--heads {heads} is no multiple of --kv-heads {kv_heads}")
    ratio = usual.ffn / usual.hidden
    shape = msgspec.structs.replace(
        shape,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        ffn=sizes.ffn or max(1, round(ratio * hidden)),
    )
    if sizes.layers is None and (sizes.hidden is not None or sizes.ffn is not None):
        shape = msgspec.structs.replace(shape, layers=_solved_layers(shape))
    return msgspec.structs.replace(shape, ffn=sizes.ffn or _solved_ffn(shape))


def _usual_vocabulary(sizes: ByHand, usual: Shape) -> int:
    """A small model cannot afford a table of the usual length."""
    if sizes.vocabulary is not None:
        return sizes.vocabulary
    return min(usual.vocabulary, sizes.parameters // _TABLE_SHARE)


def _solved_hidden(sizes: ByHand, shape: Shape) -> int:
    """The root of layers x (a h^2 + b h) + tables x h = parameters, a whole number of heads."""
    kept = (sizes.kv_heads or shape.kv_heads) / (sizes.heads or shape.heads)
    matrices = 3 if shape.gated else 2
    square = shape.layers * (2 + 2 * min(kept, 1.0))
    line = float(shape.vocabulary * (1 if shape.tied else 2))
    if sizes.ffn is None:
        square += shape.layers * matrices * shape.ffn / shape.hidden
    else:
        line += shape.layers * matrices * sizes.ffn
    root = (math.sqrt(line * line + 4 * square * sizes.parameters) - line) / (2 * square)
    step = sizes.heads or next(step for least, step in _STEPS if root >= least)
    return max(1, round(root / step)) * step


def _solved_layers(shape: Shape) -> int:
    left = shape.parameters - shape.vocabulary * shape.hidden * (1 if shape.tied else 2)
    return min(LAYERS, max(1, round(left / _layer(shape))))


def _solved_ffn(shape: Shape) -> int:
    """A feed-forward that makes the sum right, while it is between one and eight times hidden."""
    without = counted_parameters(msgspec.structs.replace(shape, ffn=0))
    matrices = 3 if shape.gated else 2
    width = (shape.parameters - without) / (shape.layers * matrices * shape.hidden)
    return round(width) if shape.hidden <= width <= 8 * shape.hidden else shape.ffn


def _usual_heads(hidden: int, kv_heads: int) -> int:
    widths = _HEAD_WIDTHS if hidden >= _SMALL_HIDDEN else _HEAD_WIDTHS[1:]
    for width in widths:
        if hidden % width == 0 and (hidden // width) % kv_heads == 0:
            return hidden // width
    return kv_heads


def _usual_kv_heads(heads: int, usual: Shape) -> int:
    """Grouped at least as in the usual shape."""
    most = max(1, heads * usual.kv_heads // usual.heads)
    return next(count for count in range(most, 0, -1) if heads % count == 0)


def _agree(parameters: int, counted: int, shape: Shape) -> None:
    if counted <= _TOO_MANY * parameters:
        return
    raise _contradiction(
        f"{shape.layers} layers of hidden size {shape.hidden} with a feed-forward of {shape.ffn} "
        f"and a vocabulary of {shape.vocabulary} make {_named(counted)}, "
        f"{counted / parameters:.1f} times the {_named(parameters)} given"
    )


def _contradiction(what: str) -> UsageError:
    return UsageError(
        f"The sizes given by hand do not go together: {what}. Correct one of them, or leave it "
        "out and it is worked out from --params."
    )


def _check(value: int, option: str, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise UsageError(
            f"{option} is {show(value)}, but has to be a whole number from {least} to {most}."
        )


def _basis(sizes: ByHand, shape: Shape, counted: int) -> str:
    given = [name for name in _BOUNDS if getattr(sizes, name) is not None]
    worked = [f"{getattr(shape, name)} {name}" for name in _BOUNDS if name not in given]
    text = f"{_named(sizes.parameters)} given by hand"
    if given:
        text += f" with {', '.join(given)}"
    if worked:
        text += f"; worked out as is usual: {', '.join(worked)}".replace("_", " ")
    if counted < _TOO_FEW * sizes.parameters:
        text += f"; these sizes explain {counted / sizes.parameters:.0%} of the parameters"
    return text + _attention(shape)


def _attention(shape: Shape) -> str:
    if shape.kv_heads == shape.heads:
        return " (a key-value head for each head)" if shape.gated else ""
    return f" (grouped-query attention, {shape.kv_heads} key-value heads for {shape.heads})"


def _named(parameters: int) -> str:
    for scale, unit in ((10**12, "trillion"), (10**9, "billion"), (10**6, "million")):
        if parameters >= scale:
            return f"{parameters / scale:.3g} {unit} parameters"
    return f"{parameters} parameters"


def _built(shape: Shape, parameters: int, *, encoder: bool, basis: str) -> Architecture:
    table = shape.vocabulary * shape.hidden
    stack = Stack(
        name="encoder" if encoder else "decoder",
        layers=shape.layers,
        hidden=shape.hidden,
        heads=shape.heads,
        kv_heads=shape.kv_heads,
        head_dim=shape.hidden // shape.heads,
        ffn=shape.ffn,
        gated=shape.gated,
        causal=not encoder,
        rms=not encoder,
    )
    return Architecture(
        model_type="by hand",
        stacks=(stack,),
        vocabulary=shape.vocabulary,
        positions=_POSITIONS if encoder else None,
        learned_positions=encoder,
        tied=shape.tied and not encoder,
        parameters=parameters,
        embedding_parameters=min(table, parameters),
        head_parameters=0 if shape.tied else min(table, max(0, parameters - table)),
        basis=basis,
    )
