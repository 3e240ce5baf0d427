"""Count what drawing one image takes with Stable Diffusion's networks, for the catalogue.

python -m tools.count_diffusion            names what it can count
python -m tools.count_diffusion sd-1.5 ... prints parameters, activations and operations of an image

Arithmetic over the layers of the UNet, the decoder that makes pixels of latents, and the text
encoders, as the models' configs give them; that the parameters come out as published shows that no
layer is missing. Weights are counted once a step, since each step reads them. Attention's scores
are not counted as memory: runtimes do not write them out. A developer pastes the output into
deployopt/catalogue/models.toml.
"""

import sys
from typing import Final

import msgspec

from tools.layers import Node, convolution, elementwise, gmacs, linear, toml, weights_of

_TEXT_TOKENS: Final = 77
_TIME: Final = 1280
_WORDS: Final = 49_408
_DECODED: Final = (512, 512, 256, 128)
"""Channels of the decoder's stages."""


class UNet(msgspec.Struct, frozen=True, kw_only=True):
    """A conditional UNet: `depths` are transformer layers after each residual block of a stage."""

    channels: tuple[int, ...]
    depths: tuple[int, ...]
    blocks: int
    """Residual blocks of a stage on the way down; one more on the way up."""
    cross: int
    """Width of the text's embeddings."""
    middle: bool = True
    added: int = 0
    """Width of further conditions, embedded as the time is."""


class TextEncoder(msgspec.Struct, frozen=True, kw_only=True):
    """A CLIP text model."""

    hidden: int
    layers: int
    projection: int = 0


class Pipeline(msgspec.Struct, frozen=True, kw_only=True):
    """What is run for one image: every step asks the UNet for `asked` items (2 with guidance)."""

    unet: UNet
    texts: tuple[TextEncoder, ...]
    latent: int
    """Side of the latent image; pixels are eight times as many."""
    steps: int
    asked: int
    unet_parameters: int
    """As published, to check the count with."""


def residual(side: int, inner: int, outer: int, *, time: bool) -> list[Node]:
    """Norm, SiLU, convolution, time, norm, SiLU, convolution, sum."""
    area = side * side
    nodes = [
        elementwise(area * inner, 2 * inner), elementwise(area * inner),
        convolution(side, inner, outer),
        elementwise(area * outer, 2 * outer), elementwise(area * outer),
        convolution(side, outer, outer), elementwise(area * outer),
    ]  # fmt: skip
    if time:
        nodes += [linear(1, _TIME, outer), elementwise(area * outer)]
    return nodes if inner == outer else [*nodes, convolution(side, inner, outer, 1)]


def attention(rows: int, seen: int, width: int, source: int, *, bias: bool = False) -> list[Node]:
    """Over `seen` positions of width `source`."""
    product = Node(kind="gemm", macs=rows * seen * width, weights=0, values=(rows + seen) * width)
    return [
        linear(rows, width, width, bias=bias), linear(seen, source, width, bias=bias),
        linear(seen, source, width, bias=bias), product, product, linear(rows, width, width),
    ]  # fmt: skip


def transformer(side: int, width: int, cross: int, depth: int) -> list[Node]:
    """Attention within the image and to the text, and a gated feed-forward, `depth` times."""
    rows = side * side
    nodes = [elementwise(rows * width, 2 * width), linear(rows, width, width)]
    for _ in range(depth):
        nodes += [elementwise(rows * width, 2 * width) for _ in range(3)]
        nodes += attention(rows, rows, width, width)
        nodes += attention(rows, _TEXT_TOKENS, width, cross)
        nodes += [linear(rows, width, 8 * width), elementwise(rows * 8 * width)]
        nodes += [linear(rows, 4 * width, width)]
        nodes += [elementwise(rows * width) for _ in range(3)]
    return [*nodes, linear(rows, width, width), elementwise(rows * width)]


def unet_nodes(net: UNet, side: int) -> list[Node]:
    """One pass over one item."""
    first, last = net.channels[0], net.channels[-1]
    nodes = [linear(1, first, _TIME), linear(1, _TIME, _TIME), convolution(side, 4, first)]
    if net.added:
        nodes += [linear(1, net.added, _TIME), linear(1, _TIME, _TIME)]
    skips = [first]
    nodes += _down(net, side, skips)
    side >>= len(net.channels) - 1
    if net.middle:
        nodes += _block(side, last, last, net.cross, net.depths[-1] or 1)
        nodes += residual(side, last, last, time=True)
    nodes += _up(net, side, skips)
    side <<= len(net.channels) - 1
    norm = elementwise(side * side * first, 2 * first)
    return [*nodes, norm, convolution(side, first, 4)]


def _down(net: UNet, side: int, skips: list[int]) -> list[Node]:
    """Adds the channels of every map that the way up sees again to `skips`."""
    nodes, width = [], net.channels[0]
    for stage, (channels, depth) in enumerate(zip(net.channels, net.depths, strict=True)):
        for _ in range(net.blocks):
            nodes += _block(side, width, channels, net.cross, depth)
            width = channels
            skips.append(width)
        if stage < len(net.channels) - 1:
            side //= 2
            nodes.append(convolution(side, width, width, stride=2))
            skips.append(width)
    return nodes


def _up(net: UNet, side: int, skips: list[int]) -> list[Node]:
    nodes, width = [], net.channels[-1]
    for stage in reversed(range(len(net.channels))):
        channels, depth = net.channels[stage], net.depths[stage]
        for _ in range(net.blocks + 1):
            nodes += _block(side, width + skips.pop(), channels, net.cross, depth)
            width = channels
        if stage:
            side *= 2
            nodes.append(convolution(side, width, width))
    return nodes


def _block(side: int, inner: int, outer: int, cross: int, depth: int) -> list[Node]:
    nodes = residual(side, inner, outer, time=True)
    return [*nodes, *transformer(side, outer, cross, depth)] if depth else nodes


def decoder_nodes(side: int) -> list[Node]:
    """Latents to pixels: the same network in every Stable Diffusion."""
    nodes = [convolution(side, 4, 4, 1), convolution(side, 4, 512)]
    nodes += residual(side, 512, 512, time=False)
    nodes += [elementwise(side * side * 512, 1024)]
    nodes += attention(side * side, side * side, 512, 512, bias=True)
    nodes += residual(side, 512, 512, time=False)
    width = 512
    for stage, channels in enumerate(_DECODED):
        for _ in range(3):
            nodes += residual(side, width, channels, time=False)
            width = channels
        if stage < len(_DECODED) - 1:
            side *= 2
            nodes.append(convolution(side, width, width))
    return [*nodes, elementwise(side * side * width, 2 * width), convolution(side, width, 3)]


def text_nodes(text: TextEncoder) -> list[Node]:
    """77 tokens; the tables stand as weights of a lookup, which reads next to none of them."""
    rows, width = _TEXT_TOKENS, text.hidden
    nodes = []
    for _ in range(text.layers):
        nodes += [elementwise(rows * width, 2 * width) for _ in range(2)]
        nodes += attention(rows, rows, width, width, bias=True)
        nodes += [linear(rows, width, 4 * width), elementwise(rows * 4 * width)]
        nodes += [linear(rows, 4 * width, width)]
    nodes.append(elementwise(rows * width, 2 * width))
    if text.projection:
        nodes.append(linear(1, width, text.projection, bias=False))
    return nodes


def lines(alias: str, pipeline: Pipeline) -> str:
    """The lines of an entry, with the sums as a comment."""
    unet = unet_nodes(pipeline.unet, pipeline.latent)
    decoder = decoder_nodes(pipeline.latent)
    texts = [node for text in pipeline.texts for node in text_nodes(text)]
    if weights_of(unet) != pipeline.unet_parameters:
        raise SystemExit(f"{alias}: {weights_of(unet)} parameters, not {pipeline.unet_parameters}")
    tables = sum((_WORDS + _TEXT_TOKENS) * text.hidden for text in pipeline.texts)
    note = (
        f"{alias}: UNet {gmacs(unet)} GMAC a pass, {pipeline.steps} steps of {pipeline.asked}; "
        f"decoder {gmacs(decoder)} GMAC; text {gmacs(texts)} GMAC"
    )
    step = [node.asked(pipeline.asked) for node in unet]
    parameters = weights_of([*unet, *decoder, *texts]) + tables
    return toml(note, parameters, [*texts, *step * pipeline.steps, *decoder])


_CLIP_L: Final = TextEncoder(hidden=768, layers=12)
_ONE: Final = (320, 640, 1280, 1280)
PIPELINES: Final = {
    "bk-sdm-tiny": Pipeline(
        unet=UNet(channels=_ONE[:3], depths=(1, 1, 1), blocks=1, cross=768, middle=False),
        texts=(_CLIP_L,), latent=64, steps=30, asked=2, unet_parameters=323_384_964,
    ),
    "bk-sdm-small": Pipeline(
        unet=UNet(channels=_ONE, depths=(1, 1, 1, 0), blocks=1, cross=768, middle=False),
        texts=(_CLIP_L,), latent=64, steps=30, asked=2, unet_parameters=482_346_884,
    ),
    "sd-1.5": Pipeline(
        unet=UNet(channels=_ONE, depths=(1, 1, 1, 0), blocks=2, cross=768),
        texts=(_CLIP_L,), latent=64, steps=30, asked=2, unet_parameters=859_520_964,
    ),
    "sd-turbo": Pipeline(
        unet=UNet(channels=_ONE, depths=(1, 1, 1, 0), blocks=2, cross=1024),
        texts=(TextEncoder(hidden=1024, layers=23),),
        latent=64, steps=1, asked=1, unet_parameters=865_910_724,
    ),
    "sdxl": Pipeline(
        unet=UNet(channels=_ONE[:3], depths=(0, 2, 10), blocks=2, cross=2048, added=2816),
        texts=(_CLIP_L, TextEncoder(hidden=1280, layers=32, projection=1280)),
        latent=128, steps=30, asked=2, unet_parameters=2_567_463_684,
    ),
}  # fmt: skip


def main(names: list[str]) -> int:
    """Print what was counted; without names, what can be."""
    unknown = [name for name in names if name not in PIPELINES]
    if unknown or not names:
        print(f"{', '.join(unknown)}\n" if unknown else __doc__, file=sys.stderr)
        print(*PIPELINES, sep="\n")
        return 2
    for name in names:
        print(lines(name, PIPELINES[name]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
