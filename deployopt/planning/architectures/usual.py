"""Shapes of models that people use, by size: what a model of so many parameters looks like."""

import math
from typing import Final

import msgspec


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """One published model's sizes."""

    name: str
    parameters: int
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    ffn: int
    vocabulary: int
    tied: bool = False
    gated: bool = True


def _decoder(
    name: str, sizes: tuple[int, int, int, int, int, int, int], *, tied: bool = False
) -> Shape:
    parameters, layers, hidden, heads, kv_heads, ffn, vocabulary = sizes
    return Shape(
        name=name,
        parameters=parameters,
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        ffn=ffn,
        vocabulary=vocabulary,
        tied=tied,
    )


def _encoder(name: str, sizes: tuple[int, int, int, int, int, int]) -> Shape:
    parameters, layers, hidden, heads, ffn, vocabulary = sizes
    return Shape(
        name=name,
        parameters=parameters,
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=heads,
        ffn=ffn,
        vocabulary=vocabulary,
        tied=True,
        gated=False,
    )


# Parameters, layers, hidden, heads, key-value heads, feed-forward, vocabulary.
DECODERS: Final = (
    _decoder("Llama2.c 15M", (15_191_712, 6, 288, 6, 6, 768, 32000), tied=True),
    _decoder("SmolLM2 135M", (134_515_008, 30, 576, 9, 3, 1536, 49152), tied=True),
    _decoder("SmolLM2 360M", (361_821_120, 32, 960, 15, 5, 2560, 49152), tied=True),
    _decoder("Qwen2.5 0.5B", (494_032_768, 24, 896, 14, 2, 4864, 151936), tied=True),
    _decoder("Llama 3.2 1B", (1_235_814_400, 16, 2048, 32, 8, 8192, 128256), tied=True),
    _decoder("SmolLM2 1.7B", (1_711_376_384, 24, 2048, 32, 32, 8192, 49152), tied=True),
    _decoder("Llama 3.2 3B", (3_212_749_824, 28, 3072, 24, 8, 8192, 128256), tied=True),
    _decoder("Mistral 7B", (7_241_732_096, 32, 4096, 32, 8, 14336, 32000)),
    _decoder("Llama 3 8B", (8_030_261_248, 32, 4096, 32, 8, 14336, 128256)),
    _decoder("Qwen2.5 14B", (14_770_033_664, 48, 5120, 40, 8, 13824, 152064)),
    _decoder("Qwen2.5 32B", (32_763_876_352, 64, 5120, 40, 8, 27648, 152064)),
    _decoder("Llama 3 70B", (70_553_706_496, 80, 8192, 64, 8, 28672, 128256)),
    _decoder("Mistral Large 123B", (122_610_069_504, 88, 12288, 96, 8, 28672, 32768)),
    _decoder("Llama 3.1 405B", (405_853_388_800, 126, 16384, 128, 8, 53248, 128256)),
)
# Parameters, layers, hidden, heads, feed-forward, vocabulary.
ENCODERS: Final = (
    _encoder("BERT tiny", (4_385_920, 2, 128, 2, 512, 30522)),
    _encoder("BERT mini", (11_170_560, 4, 256, 4, 1024, 30522)),
    _encoder("MiniLM L6", (22_713_216, 6, 384, 12, 1536, 30522)),
    _encoder("MiniLM L12", (33_360_000, 12, 384, 12, 1536, 30522)),
    _encoder("DistilBERT", (66_362_880, 6, 768, 12, 3072, 30522)),
    _encoder("BERT base", (109_482_240, 12, 768, 12, 3072, 30522)),
    _encoder("BERT large", (335_141_888, 24, 1024, 16, 4096, 30522)),
    _encoder("XLM-R XL", (3_482_483_200, 36, 2560, 32, 10240, 250880)),
    _encoder("XLM-R XXL", (10_712_731_648, 48, 4096, 32, 16384, 250880)),
)


def nearest(parameters: int, *, encoder: bool) -> Shape:
    """The published shape whose size is nearest by ratio."""
    shapes = ENCODERS if encoder else DECODERS
    return min(shapes, key=lambda shape: abs(math.log(shape.parameters / parameters)))


def usual_layers(parameters: int, *, encoder: bool) -> int:
    """Layers between the published shapes above and below, by the logarithm of the size."""
    shapes = ENCODERS if encoder else DECODERS
    below = [shape for shape in shapes if shape.parameters <= parameters]
    above = [shape for shape in shapes if shape.parameters > parameters]
    if not below or not above:
        return nearest(parameters, encoder=encoder).layers
    low, high = below[-1], above[0]
    share = math.log(parameters / low.parameters) / math.log(high.parameters / low.parameters)
    return max(1, round(low.layers + share * (high.layers - low.layers)))
