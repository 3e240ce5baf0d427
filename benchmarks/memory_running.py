"""Running a model, as a row of a table tells it: the parts, and what else it may mean.

In: a row's `Way`, its source's convention, a shape. Out: readings, each the parts of one way to
understand the row; the first is the likeliest.
"""

from typing import Final, TypeAlias

import msgspec

from benchmarks.memory_conventions import Convention, by_torch
from benchmarks.memory_settings import Way
from benchmarks.memory_shapes import Pipeline
from deployopt.core.architecture import Architecture
from deployopt.core.memory import Part
from deployopt.planning.memory.passing import graph_elements
from deployopt.planning.memory.serving import Serving, serving_parts

Reading: TypeAlias = tuple[Part, ...]

HALF_BITS: Final = 16.0
_FULL_BITS: Final = 32.0
_PROMPT: Final = 64
_BATCHED_CONTEXT: Final = 2048
"""Tokens a sequence where only the batch is told: a table of batches is of a service's requests."""
_ENCODER_TOKENS: Final = 128
# The decoder of an image's latents: three maps of 256 channels at full size, in 16 bits.
_PIXEL_BYTES: Final = 3 * 256 * 2.0


def running_readings(way: Way, said: Convention, architecture: Architecture) -> tuple[Reading, ...]:
    """As told; in fp32 where no precision is; a prompt read at once where no length is."""
    ways = [way]
    if way.bits is None:
        ways.append(msgspec.structs.replace(way, bits=_FULL_BITS))
    if not architecture.generates:
        return tuple(_graph(one, architecture) for one in ways)
    readings = [serving_parts(architecture, _serving(one, said)) for one in ways]
    if _batched(way):
        whole = msgspec.structs.replace(_serving(way, said), prompt=None)
        readings.append(serving_parts(architecture, whole))
    return tuple(readings)


def pipeline_reading(way: Way, pipeline: Pipeline) -> Reading:
    """Several models that are resident together."""
    bits = HALF_BITS if way.bits is None else way.bits
    others = max(bits, HALF_BITS)
    side = way.side or pipeline.side
    tokens = (side / pipeline.patch) ** 2
    width = others / 8
    passing = tokens * (4 * pipeline.hidden + 2 * pipeline.ffn) * width
    decoding = side * side * _PIXEL_BYTES * width / 2
    return (
        Part(name="weights", bytes=pipeline.quantized * bits / 8),
        Part(name="embeddings and head", bytes=pipeline.others * others / 8),
        Part(name="activations", bytes=way.batch * max(passing, decoding)),
    )


def _batched(way: Way) -> bool:
    return way.tokens is None and way.batch > 1


def _graph(way: Way, architecture: Architecture) -> Reading:
    bits = HALF_BITS if way.bits is None else way.bits
    elements = graph_elements(architecture, batch=way.batch, tokens=way.tokens or _ENCODER_TOKENS)
    return (
        Part(name="weights", bytes=architecture.parameters * bits / 8),
        Part(name="activations", bytes=2 * elements * _width(bits)),
    )


def _serving(way: Way, said: Convention) -> Serving:
    bits = HALF_BITS if way.bits is None else way.bits
    width = _width(bits)
    prompt = way.tokens or _PROMPT
    context = (_BATCHED_CONTEXT if _batched(way) else prompt) + (way.generated or 0)
    if way.growing or (way.tokens is not None and way.generated == way.tokens):
        # Prompts of generation are a word long.
        prompt, context = 1, max(prompt, way.generated or 0)
    return Serving(
        bits=bits,
        batch=way.batch,
        context=context,
        prompt=prompt,
        cache_bytes=width if way.cache_bytes is None else way.cache_bytes,
        activation_bytes=width,
        head_quantized=said.head_quantized and bits < HALF_BITS,
        scored=way.scored,
        concatenated=way.growing and not by_torch(way.allocated, said),
    )


def _width(bits: float) -> float:
    return 4.0 if bits > HALF_BITS else 2.0
