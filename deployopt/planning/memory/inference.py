"""Memory of inference on a target, by precision.

Generating models are taken to run whole on one device, weights once, with a cache for the full
context. Others run as a graph in ONNX Runtime: on a CPU the process is counted (runtime, the file
as it is read and packed), on a GPU the CUDA context.
"""

from typing import Final

import msgspec

from deployopt.core.architecture import Architecture
from deployopt.core.artifact import Precision
from deployopt.core.memory import MemoryNeed, Part
from deployopt.core.plan import Facts
from deployopt.core.target import Target
from deployopt.planning.memory.bands import (
    CUDA_CONTEXT_BAND,
    CUDA_CONTEXT_BYTES,
    INFERENCE_BAND,
    PROCESS_BAND,
    RUNTIME,
    memory_need,
)
from deployopt.planning.memory.passing import graph_elements
from deployopt.planning.memory.serving import Serving, serving_parts
from deployopt.planning.memory.weights import BITS, FULL

TEXT_CONTEXT: Final = 2048
ENCODER_CONTEXT: Final = 128

# A process with the runtime, a tokenizer and an open session, before weights.
_FLOOR_BYTES: Final = 80 * 2**20
_FLOOR_BAND: Final = INFERENCE_BAND * _FLOOR_BYTES
# Peak bytes a byte of weights: the file is read, the weights are packed anew (1.27 measured).
_LOADED: Final = 1.27
# A runtime that maps the file reads the weights once and keeps tables and a tokenizer beside them.
_MAPPED_BYTES: Final = 120 * 2**20
# Tokens of a prompt that such a runtime is given at once, each scored over the vocabulary.
_PIECE: Final = 64


def inference_need(  # noqa: PLR0913 -- what runs, where, and how it is kept
    architecture: Architecture,
    *,
    target: Target,
    precision: Precision,
    batch: int,
    context: int | None,
    devices: int = 1,
    cache_bits: int | None = None,
) -> MemoryNeed:
    """Bytes on one device; a generating model may be split over several by tensor parallelism.

    `cache_bits` a value of the KV cache; None: what the runtime takes by itself.
    """
    tokens = usual_context(architecture) if context is None else context
    on_cpu = target.runtime.provider == "cpu"
    if architecture.generates:
        serving = _serving(precision, batch, tokens, on_cpu=on_cpu)
        if cache_bits is not None:
            serving = msgspec.structs.replace(serving, cache_bytes=cache_bits / 8)
        parts = _split(serving_parts(architecture, serving), architecture, devices)
        runtime = _MAPPED_BYTES if on_cpu else CUDA_CONTEXT_BYTES
        return memory_need(
            (*parts, Part(name=RUNTIME, bytes=runtime)),
            INFERENCE_BAND,
            f"formulas over the model's shape, {architecture.basis}",
            runtime_band=PROCESS_BAND if on_cpu else CUDA_CONTEXT_BAND,
        )
    stored = architecture.parameters * BITS[precision] / 8
    elements = graph_elements(architecture, batch=batch, tokens=tokens)
    width = 4.0 if on_cpu or precision in FULL else 2.0
    if not on_cpu:
        elements = max(elements, architecture.score_elements * batch)
    beside = architecture.cpu_bytes * batch
    return _graph_parts(stored, elements * width, architecture.basis, beside, on_cpu=on_cpu)


def graph_need(target: Target, facts: Facts, precision: Precision, *, batch: int = 1) -> MemoryNeed:
    """A graph of which operators and weights are known; `facts` are of one item."""
    full = precision in FULL
    stored = float(facts.weight_bytes) if full else facts.parameters * BITS[precision] / 8
    on_cpu = target.runtime.provider == "cpu"
    alive = float(facts.peak_activation_bytes * batch)
    if not on_cpu:
        # Of a pipeline of graphs they are counted apart; on a CPU they are in what is beside.
        alive = max(alive, facts.score_elements * batch * (4.0 if full else 2.0))
    return _graph_parts(stored, alive, facts.basis, facts.cpu_bytes * batch, on_cpu=on_cpu)


def usual_context(architecture: Architecture) -> int:
    """Tokens where nobody says: 2048, 128 for encoders, at most what the model allows."""
    usual = TEXT_CONTEXT if architecture.generates else ENCODER_CONTEXT
    return min(usual, architecture.positions or usual)


def _graph_parts(
    stored: float, activations: float, basis: str, beside: float, *, on_cpu: bool
) -> MemoryNeed:
    """`beside`: what a CPU runtime holds of a pipeline of graphs in any precision."""
    parts: tuple[Part, ...]
    if on_cpu:
        parts = (
            Part(name="weights", bytes=stored),
            Part(name="loading", bytes=(_LOADED - 1) * stored),
            Part(name="activations", bytes=activations),
            *([Part(name="packing and arenas", bytes=beside)] if beside else []),
            Part(name=RUNTIME, bytes=_FLOOR_BYTES),
        )
        said = f"runtime, weights and activations; {basis}"
        return memory_need(parts, INFERENCE_BAND, said, runtime_band=_FLOOR_BAND)
    parts = (
        Part(name="weights", bytes=stored),
        # The arena grows by powers of two: up to twice what is alive.
        Part(name="activations", bytes=2 * activations),
        Part(name=RUNTIME, bytes=CUDA_CONTEXT_BYTES),
    )
    said = f"CUDA context, weights and activations; {basis}"
    return memory_need(parts, INFERENCE_BAND, said, runtime_band=CUDA_CONTEXT_BAND)


def _serving(precision: Precision, batch: int, context: int, *, on_cpu: bool) -> Serving:
    wide = 4.0 if on_cpu or precision in FULL else 2.0
    return Serving(
        bits=BITS[precision],
        batch=batch,
        context=context,
        prompt=min(_PIECE, context) if on_cpu else None,
        cache_bytes=wide,
        activation_bytes=wide,
        scored=on_cpu,
    )


def _split(parts: tuple[Part, ...], architecture: Architecture, devices: int) -> tuple[Part, ...]:
    """By tensor parallelism: a share of each matrix, whole heads of the cache, all activations."""
    heads = min((stack.kv_heads for stack in architecture.stacks if stack.causal), default=1)
    shares = {"KV cache": min(devices, heads), "activations": 1, "logits": 1}
    return tuple(
        Part(name=part.name, bytes=part.bytes / shares.get(part.name, devices)) for part in parts
    )
