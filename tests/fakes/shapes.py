"""Shapes of models, small and plain, to be changed in one place at a time."""

from typing import Any

import msgspec

from deployopt.core.architecture import Architecture, Stack
from deployopt.core.plan import Facts, Operation

ENCODER = Stack(
    name="encoder", layers=2, hidden=64, heads=4, kv_heads=4, head_dim=16, ffn=256
)  # fmt: skip
DECODER = Stack(
    name="decoder", layers=3, hidden=64, heads=8, kv_heads=2, head_dim=8, ffn=192, gated=True,
    causal=True, rms=True,
)  # fmt: skip
VISION = msgspec.structs.replace(ENCODER, name="vision", tokens=17)


def changed(stack: Stack, **sizes: Any) -> Stack:
    return msgspec.structs.replace(stack, **sizes)


def architecture(*stacks: Stack, **fields: Any) -> Architecture:
    given: dict[str, Any] = {"model_type": "made up", "parameters": 1_000, "basis": "a test"}
    given |= {"vocabulary": 100, "stacks": stacks}
    return Architecture(**(given | fields))


def macs(facts: Facts) -> float:
    return sum(one.macs * one.count for one in facts.operations)


def weights(facts: Facts) -> float:
    return sum(one.weights * one.count for one in facts.operations)


def activations(facts: Facts) -> float:
    return sum(one.activations * one.count for one in facts.operations)


def of_kind(facts: Facts, kind: str) -> list[Operation]:
    return [one for one in facts.operations if one.kind == kind]
