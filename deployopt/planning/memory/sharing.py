"""How several devices share a training run: what one of them holds.

DDP: everything, and a bucket of gradients as large as they are. ZeRO-2: gradients, masters and
states split. FSDP and ZeRO-3: the weights as well; the layer that is at work, and the next, are
gathered (Rajbhandari et al. 2019, arXiv 1910.02054).
"""

from typing import Final

from deployopt.core.architecture import Architecture
from deployopt.core.memory import Part, Sharding, Training
from deployopt.planning.memory.weights import layer_parameters

_WEIGHTS: Final = frozenset({"weights", "embeddings and head", "adapter"})
_STATES: Final = frozenset({"master weights", "gradients", "optimizer"})
# DeepSpeed's default bucket, in elements of 16 bits.
_BUCKET: Final = 5e8
_GATHERED_LAYERS: Final = 2


def shared_parts(
    parts: tuple[Part, ...], architecture: Architecture, training: Training
) -> tuple[Part, ...]:
    """Weights and states of one device; parts in the order given, what sharing adds at the end."""
    if training.devices == 1 or training.sharding is Sharding.NONE:
        return parts
    gradients = sum(part.bytes for part in parts if part.name == "gradients")
    if training.sharding is Sharding.DDP:
        return (*parts, Part(name="gradient bucket", bytes=gradients))
    if training.sharding is Sharding.ZERO2:
        bucket = min(2 * _BUCKET, gradients / 2)
        split = _split(parts, _STATES, training.devices)
        return (*split, Part(name="gradient bucket", bytes=bucket))
    split = _split(parts, _STATES | _WEIGHTS, training.devices)
    return (*split, Part(name="gathered", bytes=_gathered(parts, architecture, training.devices)))


def _split(parts: tuple[Part, ...], names: frozenset[str], devices: int) -> tuple[Part, ...]:
    return tuple(
        Part(name=p.name, bytes=p.bytes / devices if p.name in names else p.bytes) for p in parts
    )


def _gathered(parts: tuple[Part, ...], architecture: Architecture, devices: int) -> float:
    """Two layers, or an embedding table if that is more; never more than what others hold."""
    weights = sum(part.bytes for part in parts if part.name in _WEIGHTS)
    layer = max((layer_parameters(stack) for stack in architecture.stacks), default=0.0)
    wanted = max(_GATHERED_LAYERS * layer, architecture.embedding_parameters)
    per_parameter = weights / architecture.parameters
    return min(wanted * per_parameter, weights * (1 - 1 / devices))
