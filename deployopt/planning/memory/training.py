"""Memory of training on one device, part by part.

Weights, masters, gradients and states last; activations and logits come and go with every step,
and an optimizer's update comes when they are gone: only what it needs above them counts.
"""

from typing import Final

import msgspec

from deployopt.core.architecture import Architecture
from deployopt.core.memory import MemoryNeed, Method, Part, Sharding, Training
from deployopt.core.target import Target
from deployopt.planning.memory.adapters import adapter_parameters, prefix_parameters
from deployopt.planning.memory.bands import (
    CUDA_CONTEXT_BAND,
    CUDA_CONTEXT_BYTES,
    RUNTIME,
    TRAINING_BAND,
    memory_need,
    reaching_to,
)
from deployopt.planning.memory.saved import Inputs, element_bytes, saved_bytes, text_tokens
from deployopt.planning.memory.sharing import shared_parts
from deployopt.planning.memory.states import States, adapter_states, states
from deployopt.planning.memory.weights import (
    NF4_DOUBLE_BITS,
    kept_parameters,
    weight_parts,
    widest_matrix,
)

# Scores over the vocabulary: as computed (2), in fp32 (4), their gradient (4).
LOGIT_BYTES: Final = 10.0
_FULL_LOGIT_BYTES: Final = 12.0
# A process that trains on a CPU, before the model: PyTorch and transformers (384 MiB), the trainer
# and its loaders (150).
_PROCESS_BYTES: Final = 560e6
_HALF_BITS: Final = 16.0
# What passes between layers is in fp32, and what a matrix keeps of it with it.
_PREPARED: Final = 2.0
# Copies of a table that LoRA trains whole: 16-bit copy and gradient, fp32 states.
_TABLE_BYTES: Final = (2.0, 2.0, 8.0)


class Details(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a table of measurements may say beyond `Training`; the defaults are the usual."""

    base_bits: float | None = None
    """Of a frozen, quantized base; None: NF4 with double quantization for QLoRA, 16 for LoRA."""
    cast: bool = True
    """Embeddings and head over a quantized base are cast to fp32 as the model is prepared (PEFT),
    and back for training (TRL): what that takes is free again when activations come."""
    prepared: bool = False
    """As PEFT's `prepare_model_for_kbit_training` leaves it, nothing cast back: embeddings, head,
    what passes between layers and scores in fp32. Of quantized bases that are not GPTQ or AWQ."""
    attention_only: bool = False
    """LoRA on queries and values alone."""
    trained_tables: bool = False
    """LoRA trains embeddings and head as well."""
    inputs: Inputs | None = None
    logit_bytes: float | None = None
    """A token and word of the vocabulary; fused losses never hold them all."""
    head_quantized: bool = False
    fused_backward: bool = False
    """Every gradient is applied and freed as it comes."""
    whole_step: bool = True
    """The optimizer works out its whole update before it applies it."""
    foreign_states: bool = False
    """Paged states stand outside of what is measured."""


_USUAL: Final = Details()
# What PyTorch keeps on a CPU over the formulas, which are of fused kernels on a GPU: `finetune` of
# a MiniLM at batch 32 took 420 MiB where they say 200, with LoRA 770 where they say 290.
_CPU_SAVED: Final = 2.1
_CPU_ADAPTED: Final = 2.65

_BESIDE: Final = frozenset({Method.LORA, Method.QLORA, Method.PREFIX})
"""What trains something beside the weights."""
_PREPARED_BY_PEFT: Final = Details(prepared=True)


def training_need(architecture: Architecture, training: Training, *, target: Target) -> MemoryNeed:
    """Bytes on one device of the target, with the band of training.

    QLoRA's band goes up to what it takes where a trainer leaves the model as PEFT prepares it; the
    value is of trainers that cast it back to 16 bits (TRL, Axolotl).
    """
    on_cpu = target.runtime.provider == "cpu"
    usual = _need(architecture, training, _USUAL, on_cpu=on_cpu)
    if training.method is not Method.QLORA:
        return usual
    return reaching_to(usual, _need(architecture, training, _PREPARED_BY_PEFT, on_cpu=on_cpu))


def _need(
    architecture: Architecture, training: Training, details: Details, *, on_cpu: bool
) -> MemoryNeed:
    runtime = _PROCESS_BYTES if on_cpu else CUDA_CONTEXT_BYTES
    parts = training_parts(architecture, training, details)
    if on_cpu:
        parts = tuple(_unfused(part, training.method) for part in parts)
    return memory_need(
        (*parts, Part(name=RUNTIME, bytes=runtime)),
        TRAINING_BAND,
        f"formulas over the model's shape, {architecture.basis}",
        runtime_band=TRAINING_BAND * runtime if on_cpu else CUDA_CONTEXT_BAND,
    )


def _unfused(part: Part, method: Method) -> Part:
    """On a CPU every operator writes its result out, and adapters keep their dropped-out inputs."""
    if part.name != "activations":
        return part
    factor = _CPU_ADAPTED if method in {Method.LORA, Method.QLORA} else _CPU_SAVED
    return Part(name=part.name, bytes=factor * part.bytes)


def training_parts(
    architecture: Architecture, training: Training, details: Details = _USUAL
) -> tuple[Part, ...]:
    """Everything but the runtime."""
    if training.method in _BESIDE:
        lasting, trained, per = _adapted(architecture, training, details)
    else:
        lasting, trained, per = _trained(architecture, training, details)
    shared = shared_parts(lasting, architecture, training)
    wider = _PREPARED if _in_full(training, details) else 1.0
    activations = wider * saved_bytes(architecture, training, details.inputs)
    logits = _logits(architecture, training, details)
    alone = training.sharding in {Sharding.NONE, Sharding.DDP}
    whole = alone and details.whole_step and not details.fused_backward
    step = per.step * trained if whole else 0.0
    passing = activations + logits
    return (
        *shared,
        Part(name="activations", bytes=activations),
        Part(name="logits", bytes=logits),
        Part(name="optimizer step", bytes=max(0.0, step - passing)),
        Part(
            name="preparing",
            bytes=max(0.0, _cast_bytes(architecture, training, details) - max(step, passing)),
        ),
    )


def _in_full(training: Training, details: Details) -> bool:
    """Whether preparation leaves in fp32 what arithmetic would have in 16 bits."""
    return details.prepared and element_bytes(training.precision) < 4  # noqa: PLR2004 -- fp32


def _cast_bytes(architecture: Architecture, training: Training, details: Details) -> float:
    quantized = training.method is Method.QLORA or (details.base_bits or _HALF_BITS) < _HALF_BITS
    passing = details.cast and not details.prepared and quantized
    return 2.0 * kept_parameters(architecture) if passing else 0.0


def trained_parameters(architecture: Architecture, training: Training) -> int:
    """Parameters that gradients are worked out for."""
    if training.method in {Method.LORA, Method.QLORA}:
        return adapter_parameters(architecture, training.rank)
    if training.method is Method.PREFIX:
        return prefix_parameters(architecture, training.rank)
    if training.method is Method.FREEZE:
        inside = architecture.parameters - kept_parameters(architecture)
        return round(inside * training.trained_share) + architecture.head_parameters
    return architecture.parameters


def _trained(
    architecture: Architecture, training: Training, details: Details
) -> tuple[tuple[Part, ...], int, States]:
    per = states(training)
    count = trained_parameters(architecture, training)
    gradients = 0.0 if details.fused_backward else per.gradients
    optimizer = 0.0 if details.foreign_states else per.optimizer
    parts = (
        Part(name="weights", bytes=architecture.parameters * per.weights),
        Part(name="master weights", bytes=count * per.master),
        Part(name="gradients", bytes=count * gradients),
        Part(name="optimizer", bytes=count * optimizer),
    )
    return parts, count, per


def _adapted(
    architecture: Architecture, training: Training, details: Details
) -> tuple[tuple[Part, ...], int, States]:
    per = adapter_states(training)
    count = (
        prefix_parameters(architecture, training.rank)
        if training.method is Method.PREFIX
        else adapter_parameters(architecture, training.rank, attention_only=details.attention_only)
    )
    tables = kept_parameters(architecture) if details.trained_tables else 0
    copies, gradients, optimizer = (tables * width for width in _TABLE_BYTES)
    parts = (
        *_base(architecture, training, details),
        Part(name="adapter", bytes=count * per.weights + copies),
        Part(name="gradients", bytes=count * per.gradients + gradients),
        Part(name="optimizer", bytes=count * per.optimizer + optimizer),
    )
    return parts, count, per


def _base(architecture: Architecture, training: Training, details: Details) -> tuple[Part, ...]:
    usual = (
        NF4_DOUBLE_BITS
        if training.method is Method.QLORA
        else 8 * element_bytes(training.precision)
    )
    bits = usual if details.base_bits is None else details.base_bits
    if bits >= _HALF_BITS:
        return weight_parts(architecture, bits)
    if not details.head_quantized:
        weights, *kept = weight_parts(architecture, bits)
        wider = _PREPARED if details.prepared else 1.0
        turned = Part(name="dequantized", bytes=2 * widest_matrix(architecture))
        return (weights, *(Part(name=p.name, bytes=wider * p.bytes) for p in kept), turned)
    table = architecture.embedding_parameters
    head = architecture.head_parameters or table
    return (
        Part(name="weights", bytes=(architecture.parameters - table) * bits / 8),
        Part(name="embeddings and head", bytes=2.0 * table),
        Part(name="dequantized", bytes=4.0 * head),
    )


def _logits(architecture: Architecture, training: Training, details: Details) -> float:
    """Of every position of the last stack, for models that predict words."""
    if not architecture.generates:
        return 0.0
    half = element_bytes(training.precision) < 4 and not details.prepared  # noqa: PLR2004 -- fp32
    usual = LOGIT_BYTES if half else _FULL_LOGIT_BYTES
    width = usual if details.logit_bytes is None else details.logit_bytes
    tokens = training.batch * text_tokens(architecture, training)
    return tokens * architecture.vocabulary * width
