"""A pipeline that draws, from the configs of its parts: what one image takes.

In: the configs of text encoder, UNet and decoder, how many steps, how many prompts (two with
guidance). Out: an `Architecture` without stacks, whose operators are those of one image: the text
encoder once for all prompts, the UNet once a step, the decoder once. Parameters follow from the
configs alone. Refuses blocks that are not known. Attention is counted as an exported graph runs it,
which writes its scores out whole: in time, and apart from other values in memory.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from deployopt.core.architecture import Architecture
from deployopt.core.errors import UsageError
from deployopt.core.plan import Operation
from deployopt.core.text import safe_text
from deployopt.planning.architectures.keys import Keys
from deployopt.planning.architectures.layers import (
    Map,
    attention,
    convolution,
    elementwise,
    linear,
    residual,
    transformer,
)
from deployopt.planning.architectures.towers import clip_text
from deployopt.planning.operations.counting import merged

MODEL_TYPE: Final = "stable-diffusion"
_TIME: Final = 4
"""Times the first width: what the time is embedded in."""
_CROSS: Final = frozenset({"CrossAttnDownBlock2D", "CrossAttnUpBlock2D"})
_PLAIN: Final = frozenset({"DownBlock2D", "UpBlock2D"})
_MIDDLE: Final = "UNetMidBlock2DCrossAttn"
_DECODING: Final = frozenset({"UpDecoderBlock2D"})
_STAGES: Final = 16
_LAYERS: Final = 64
_CHANNELS: Final = 64
_SIDE: Final = 4096
_SHOWN: Final = 60
_FP32: Final = 4
_UNET_TIMES: Final = 2
_DECODER_TIMES: Final = 4
_HEADS: Final = 8
_WRITTEN: Final = 2
"""As the first product gives them, and normalised."""


class Drawn(msgspec.Struct, frozen=True, kw_only=True):
    """How an image is drawn: the UNet so many times, each for so many prompts."""

    steps: int
    prompts: int


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """Blocks of a UNet at one resolution; `depth` 0 where nothing attends to the text."""

    channels: int
    layers: int
    depth: int
    heads: int = _HEADS


class UNet(msgspec.Struct, frozen=True, kw_only=True):
    """A conditional UNet from the widest map to the deepest stage."""

    at: Map
    latent: int
    cross: int
    tokens: int
    stages: tuple[Stage, ...]
    middle: bool
    written: bool = False
    """Whether operators have the reads and writes of attention's scores."""

    @property
    def scores(self) -> int:
        """The most that attention compares at once for one item."""
        found, at = [0], self.at
        for stage in self.stages:
            found.append(stage.heads * at.area * at.area if stage.depth else 0)
            at = at.halved
        return max(found)

    def attended(self, at: Map, stage: Stage, depth: int) -> list[Operation]:
        """What a block has behind its residual part."""
        if not depth:
            return []
        heads = stage.heads if self.written else 0
        return transformer(at, stage.channels, self.cross, self.tokens, depth, heads)


def pipeline_architecture(parts: Mapping[str, Mapping[str, object]], drawn: Drawn) -> Architecture:
    """The shape of a Stable Diffusion pipeline; `parts` are text_encoder, unet and vae.

    Raises:
        UsageError: a size is missing or cannot be, or a block is not known.
    """
    words = clip_text(Keys(values=parts["text_encoder"], path="text_encoder."))
    text = words.stacks[0]
    tokens = words.positions or 77
    net = read_unet(Keys(values=parts["unet"], path="unet."), tokens)
    unet = unet_operations(net)
    timed = unet_operations(msgspec.structs.replace(net, written=True))
    latents = Keys(values=parts["vae"], path="vae.")
    decoder, shown = (decoder_operations(latents, net.at, heads=heads) for heads in (0, 1))
    spoken = [
        asked(one, drawn.prompts)
        for one in _text_operations(tokens, text.hidden, text.ffn, text.layers)
    ]
    once = [asked(one, drawn.prompts) for one in unet]
    scores = drawn.prompts * net.scores
    passes = [asked(one, drawn.prompts) for one in timed] * drawn.steps
    return Architecture(
        model_type=MODEL_TYPE,
        operations=merged([*spoken, *passes, *shown]),
        activations=round(max(one.activations for one in (*spoken, *once, *decoder))),
        score_elements=_WRITTEN * max(scores, net.at.area * net.at.area),
        cpu_bytes=_FP32 * _beside(once, decoder, scores),
        parameters=words.parameters + weights_of(unet) + weights_of(decoder),
        embedding_parameters=words.embedding_parameters,
        basis=f"the configs of text encoder, UNet and decoder, {drawn.steps} steps of "
        f"{drawn.prompts} prompts at {net.at.height}x{net.at.width} latents",
    )


def _beside(unet: Sequence[Operation], decoder: Sequence[Operation], scores: int) -> int:
    """Elements that ONNX Runtime holds besides weights and the largest operator's values.

    As measured on a pipeline of 88 million parameters at 256 pixels (ONNX Runtime 1.32, x86-64):
    two times what the UNet's largest operator reads and writes, scores being written, four times
    the decoder's, and the convolutions' weights once more.
    """
    passed = max(one.activations for one in unet)
    decoded = max(one.activations for one in decoder)
    largest, counted = max(_WRITTEN * scores, passed), max(passed, decoded)
    packed = weights_of(one for one in (*unet, *decoder) if one.kind.startswith("conv"))
    return round(_UNET_TIMES * largest + _DECODER_TIMES * decoded - counted) + packed


def asked(operation: Operation, items: int) -> Operation:
    """The same for so many items at once: weights are read once."""
    return msgspec.structs.replace(
        operation, macs=operation.macs * items, activations=operation.activations * items
    )


def weights_of(operations: Iterable[Operation]) -> int:
    """Parameters in all."""
    return round(sum(one.weights * one.count for one in operations))


def read_unet(keys: Keys, tokens: int) -> UNet:
    """The sizes of a UNet2DConditionModel's config.

    Raises:
        UsageError: a block that is not known, or a size that cannot be.
    """
    listed = isinstance(keys.values.get("sample_size"), list)
    side = keys.wholes("sample_size", most=_SIDE) if listed else (keys.whole("sample_size"),) * 2
    if len(side) != 2 or max(side) > _SIDE:  # noqa: PLR2004 -- height and width
        raise keys.wrong("sample_size", f"a side from 1 to {_SIDE}, or two of them")
    channels = _numbers(keys, "block_out_channels", 0)
    down = _kinds(keys, "down_block_types", len(channels))
    up = _kinds(keys, "up_block_types", len(channels))
    if [kind in _CROSS for kind in down] != [kind in _CROSS for kind in reversed(up)]:
        raise keys.wrong("up_block_types", "the blocks on the way down, in reverse")
    layers = _numbers(keys, "layers_per_block", len(channels))
    depths = _numbers(keys, "transformer_layers_per_block", len(channels), default=1)
    # What the configs call a head's width is how many there are.
    named = "num_attention_heads" if keys.has("num_attention_heads") else "attention_head_dim"
    heads = _numbers(keys, named, len(channels), default=_HEADS)
    middle = keys.values.get("mid_block_type", _MIDDLE)
    if middle not in (_MIDDLE, None):
        raise keys.wrong("mid_block_type", f"{_MIDDLE} or null")
    if keys.text("resnet_time_scale_shift", "default") != "default":
        raise keys.wrong("resnet_time_scale_shift", "default")
    return UNet(
        at=Map(height=side[0], width=side[1], time=_TIME * channels[0]),
        latent=keys.whole("in_channels", 4, most=_CHANNELS),
        cross=keys.whole("cross_attention_dim", 1280),
        tokens=tokens,
        stages=tuple(
            Stage(channels=width, layers=count, depth=depth if kind in _CROSS else 0, heads=several)
            for width, count, depth, kind, several in zip(
                channels, layers, depths, down, heads, strict=True
            )
        ),
        middle=middle is not None,
    )


def unet_operations(net: UNet) -> list[Operation]:
    """One pass over one item."""
    first, time = net.stages[0].channels, net.at.time
    nodes = [linear(1, first, time), linear(1, time, time), convolution(net.at, net.latent, first)]
    skips = [first]
    down, at = _down(net, skips)
    nodes += down
    last = net.stages[-1]
    if net.middle:
        nodes += residual(at, last.channels, last.channels)
        nodes += net.attended(at, last, max(1, last.depth))
        nodes += residual(at, last.channels, last.channels)
    nodes += _up(net, at, skips)
    norm = elementwise(net.at.area * first, 2 * first)
    return [*nodes, norm, convolution(net.at, first, net.latent)]


def _down(net: UNet, skips: list[int]) -> tuple[list[Operation], Map]:
    """Adds the channels of every map that the way up sees again to `skips`."""
    nodes: list[Operation] = []
    at, width = net.at, net.stages[0].channels
    for number, stage in enumerate(net.stages):
        for _ in range(stage.layers):
            nodes += residual(at, width, stage.channels)
            width = stage.channels
            nodes += net.attended(at, stage, stage.depth)
            skips.append(width)
        if number < len(net.stages) - 1:
            at = at.halved
            nodes.append(convolution(at, width, width, stride=2))
            skips.append(width)
    return nodes, at


def _up(net: UNet, at: Map, skips: list[int]) -> list[Operation]:
    nodes: list[Operation] = []
    width = net.stages[-1].channels
    for number in reversed(range(len(net.stages))):
        stage = net.stages[number]
        for _ in range(stage.layers + 1):
            nodes += residual(at, width + skips.pop(), stage.channels)
            width = stage.channels
            nodes += net.attended(at, stage, stage.depth)
        if number:
            at = at.doubled
            nodes.append(convolution(at, width, width))
    return nodes


def decoder_operations(keys: Keys, latents: Map, heads: int = 0) -> list[Operation]:
    """Latents to pixels; `heads`, of which it has one, where its scores are written out.

    Raises:
        UsageError: a block that is not known, or a size that cannot be.
    """
    widths = _numbers(keys, "block_out_channels", 0)
    kinds = keys.texts("up_block_types")
    if len(kinds) != len(widths) or not _DECODING.issuperset(kinds):
        raise keys.wrong("up_block_types", f"{next(iter(_DECODING))} for each width")
    channels = keys.whole("latent_channels", 4, most=_CHANNELS)
    layers = keys.whole("layers_per_block", 1, most=_LAYERS)
    at = msgspec.structs.replace(latents, time=0)
    width = widths[-1]
    nodes = [convolution(at, channels, width)]
    if keys.flag("use_post_quant_conv", default=True):
        nodes.append(convolution(at, channels, channels, 1))
    nodes += residual(at, width, width)
    if keys.flag("mid_block_add_attention", default=True):
        nodes.append(elementwise(at.area * width, 2 * width))
        nodes += attention(at.area, at.area, width, width, bias=True, heads=heads)
    nodes += residual(at, width, width)
    for stage, outer in enumerate(reversed(widths)):
        for _ in range(layers + 1):
            nodes += residual(at, width, outer)
            width = outer
        if stage < len(widths) - 1:
            at = at.doubled
            nodes.append(convolution(at, width, width))
    colours = keys.whole("out_channels", 3, most=_CHANNELS)
    return [*nodes, elementwise(at.area * width, 2 * width), convolution(at, width, colours)]


def _text_operations(rows: int, width: int, inner: int, layers: int) -> list[Operation]:
    """One prompt; the tables are looked up in, which reads next to none of them."""
    nodes: list[Operation] = []
    for _ in range(layers):
        nodes += [elementwise(rows * width, 2 * width) for _ in range(2)]
        nodes += attention(rows, rows, width, width, bias=True)
        nodes += [linear(rows, width, inner), elementwise(rows * inner), linear(rows, inner, width)]
    return [*nodes, elementwise(rows * width, 2 * width)]


def _numbers(keys: Keys, name: str, count: int, default: int | None = None) -> list[int]:
    """A list of sizes, or one for all of `count` stages; 0: as many as are there."""
    value = keys.values.get(name, default)
    found: Sequence[object] = value if isinstance(value, list) else [value] * count
    right = all(isinstance(one, int) and 1 <= one <= 1 << 16 for one in found)
    if not right or not 1 <= len(found) <= _STAGES or (count and len(found) != count):
        shown = f"{count} sizes" if count else f"1 to {_STAGES} sizes"
        raise keys.wrong(name, shown)
    return [one for one in found if isinstance(one, int)]


def _kinds(keys: Keys, name: str, count: int) -> tuple[str, ...]:
    kinds = tuple(keys.texts(name))
    odd = [kind for kind in kinds if kind not in _CROSS | _PLAIN]
    if odd:
        raise UsageError(
            f"{keys.path}{name} names {safe_text(odd[0], _SHOWN)}; the blocks whose work is known "
            f"are {', '.join(sorted(_CROSS | _PLAIN))}."
        )
    if len(kinds) != count:
        raise keys.wrong(name, f"{count} blocks")
    return kinds
