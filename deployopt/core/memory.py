"""Memory that running or training a model takes on one device, part by part, in bytes."""

from enum import StrEnum

import msgspec

from deployopt.core.artifact import Precision
from deployopt.core.evidence import Estimate


class Method(StrEnum):
    """How much of a model is trained."""

    FULL = "full"
    FREEZE = "freeze"  # lower layers and embeddings stay
    LORA = "lora"
    QLORA = "qlora"  # LoRA over a base held in 4 bits
    PREFIX = "prefix"  # keys and values before every text's own; they cannot be merged


class Optimizer(StrEnum):
    """What keeps state beside the weights."""

    SGD = "sgd"  # with momentum
    ADAMW = "adamw"
    ADAMW_8BIT = "adamw-8bit"


class Sharding(StrEnum):
    """How several devices share a training run; ZeRO-2 is FSDP's `SHARD_GRAD_OP`, 3 is full."""

    NONE = "none"
    DDP = "ddp"
    ZERO2 = "zero2"
    FSDP = "fsdp"


class Training(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One way to train; `batch` is a device's, `length` tokens an example (ignored for images)."""

    method: Method = Method.FULL
    precision: Precision = Precision.BF16
    """Of the arithmetic; bf16 and fp16 full training keep fp32 master weights unless `pure`."""
    pure: bool = False
    """Weights, gradients and states in `precision`, no fp32 copy."""
    optimizer: Optimizer = Optimizer.ADAMW
    batch: int = 1
    length: int = 512
    checkpointing: bool = False
    flash: bool = True
    """Attention that does not write its scores out."""
    rank: int = 16
    """Of LoRA, on every linear layer; of a prefix the tokens."""
    trained_share: float = 0.5
    """With `freeze`: the share of the layers, from the top, that is trained."""
    devices: int = 1
    sharding: Sharding = Sharding.NONE


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """E.g. weights, KV cache, activations, gradients, optimizer, adapter, runtime."""

    name: str
    bytes: float


class MemoryNeed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """On one device; `total.value` is the sum of the parts."""

    parts: tuple[Part, ...]
    total: Estimate
