"""Requests as facts: an encoder's pass, an image, a prompt, one more token.

In: a model's shape and how much goes through it. Out: `Facts`. Weights are counted once a request
whatever its batch. `peak_activation_bytes` are of fp32 values and hold no keys and values of
earlier positions; those are read as activations.
"""

import math
from typing import Final

import msgspec

from deployopt.core.architecture import Architecture, Stack
from deployopt.core.errors import UsageError
from deployopt.core.plan import Facts, Operation
from deployopt.core.workload import Workload
from deployopt.planning.operations.counting import Pass, elementwise, gemm, merged
from deployopt.planning.operations.stacks import peak_elements, stack_operations

DEFAULT_LENGTH: Final = 128
"""Tokens a request where neither the workload nor the caller says."""
FP32_BYTES: Final = 4
_AREAS: Final = frozenset({"conv", "conv1x1", "conv3x3", "depthwise", "elementwise"})
_EMBEDDED: Final = 6
"""Reads and writes an element of the embeddings: two sums and a norm."""
_IMAGES: Final = "vision"


def facts_of(architecture: Architecture, workload: Workload, length: int | None = None) -> Facts:
    """The facts of one request: a pass over texts or images, or the prefill of a prompt.

    A workload that fixes the length decides; else `length`, else 128 tokens; never more than a
    table of positions holds. An image is of the workload's size, else of the config's.
    """
    asked = workload.length if isinstance(workload.length, int) else length or DEFAULT_LENGTH
    return _first_pass(architecture, workload.batch, asked, workload.image_size)


def prefill_facts(architecture: Architecture, *, batch: int, prompt: int) -> Facts:
    """`prompt` tokens of each of `batch` sequences up to the first new token's logits.

    An encoder reads the prompt where there is one, and its decoder a single start token.
    """
    return _first_pass(architecture, batch, prompt, None)


def decode_facts(architecture: Architecture, *, batch: int, context: int) -> Facts:
    """One new token for each of `batch` sequences of `context` tokens, that one included.

    Weights are read once, those of experts as far as the batch meets them; kept keys and values
    are read as activations.

    Raises:
        UsageError: the model does not generate, or a count is below 1.
    """
    _require(batch, context)
    if not architecture.generates:
        raise UsageError(f"A {architecture.model_type} model makes no tokens one by one.")
    context = _within(context, architecture)
    operations: list[Operation] = []
    peak, other = 0, context
    for stack in architecture.stacks:
        if stack.causal:
            at = Pass(batch=batch, tokens=1, context=context, other=other)
            operations += stack_operations(stack, at)
            peak = max(peak, peak_elements(stack, at))
        other = stack.tokens or context
    operations += _embedding(architecture, batch, causal=True) + _head(architecture, batch)
    return _facts(
        architecture, operations, peak + batch * _answers(architecture), context,
        f"one token at a context of {context}, with fused attention",
    )  # fmt: skip


def _first_pass(
    architecture: Architecture, batch: int, length: int, image_size: int | None
) -> Facts:
    _require(batch, length)
    tokens = _within(length, architecture)
    operations = _items(architecture, batch, image_size)
    peak = round(architecture.activations * batch * _area(architecture, image_size))
    before, read = 0, False
    for stack in architecture.stacks:
        count = 1 if stack.cross else _positions(stack, architecture, image_size) or tokens
        at = Pass(batch=batch, tokens=count, context=count, other=before)
        operations += stack_operations(stack, at)
        peak = max(peak, peak_elements(stack, at))
        if stack.tokens is None and not stack.cross:
            read = True
            operations += _embedding(architecture, at.rows, causal=stack.causal)
        elif stack.name == _IMAGES:
            operations.append(elementwise(4 * at.rows * stack.hidden))
        before = count
    operations += _head(architecture, batch)
    found = _facts(
        architecture, operations, peak + batch * _answers(architecture), tokens if read else None,
        _said(architecture, tokens if read else None, image_size),
    )  # fmt: skip
    return msgspec.structs.replace(
        found,
        cpu_bytes=batch * architecture.cpu_bytes,
        score_elements=batch * architecture.score_elements,
    )


def _require(batch: int, length: int) -> None:
    if batch < 1 or length < 1:
        raise UsageError(
            f"A request has at least one example and one token, not {batch} x {length}."
        )


def _within(tokens: int, architecture: Architecture) -> int:
    return architecture.within(tokens)


def _positions(stack: Stack, architecture: Architecture, image_size: int | None) -> int | None:
    """The stack's own count; of images as many patches more as their sides are longer."""
    if stack.tokens is None or stack.name != _IMAGES:
        return stack.tokens
    if not image_size or not architecture.image_size:
        return stack.tokens
    side = math.isqrt(stack.tokens)
    shown = max(1, side * image_size // architecture.image_size)
    return stack.tokens - side * side + shown * shown


def _area(architecture: Architecture, image_size: int | None) -> float:
    if not image_size or not architecture.image_size:
        return 1.0
    return (image_size / architecture.image_size) ** 2


def _items(architecture: Architecture, batch: int, image_size: int | None) -> list[Operation]:
    """What stands outside the stacks, for every item; products of images do not grow with them."""
    area = _area(architecture, image_size)
    found = []
    for one in architecture.operations:
        times = batch * (area if one.kind in _AREAS else 1)
        found.append(
            Operation(
                kind=one.kind,
                macs=one.macs * times,
                weights=one.weights,
                activations=one.activations * times,
                count=one.count,
            )
        )
    return found


def _embedding(architecture: Architecture, rows: int, *, causal: bool) -> list[Operation]:
    """The lookup of `rows` tokens, and the projection where the tables are narrower."""
    hidden = next(s.hidden for s in architecture.stacks if s.tokens is None)
    width = architecture.embedding_width or hidden
    found = [elementwise((2 if causal else _EMBEDDED) * rows * width)]
    if architecture.embedding_width:
        found.append(gemm(rows, width, hidden))
    return found


def _head(architecture: Architecture, batch: int) -> list[Operation]:
    """The logits of the last token alone; other heads stand among the operators of an item."""
    logits = _answers(architecture)
    return [gemm(batch, architecture.stacks[-1].hidden, logits)] if logits else []


def _answers(architecture: Architecture) -> int:
    """Logits a sequence of a model that generates."""
    generates = architecture.generates and not architecture.labels
    return architecture.vocabulary if generates else 0


def _said(architecture: Architecture, tokens: int | None, image_size: int | None) -> str:
    if not architecture.stacks:
        at = f"at {image_size} pixels" if image_size else "for one item"
        return f"{at}, counted by operators"
    where = f"at {tokens} tokens" if tokens else "for one item"
    fused = all(stack.causal for stack in architecture.stacks)
    return f"{where}, with {'fused' if fused else 'unfused'} attention"


def _facts(
    architecture: Architecture,
    operations: list[Operation],
    peak: int,
    length: int | None,
    said: str,
) -> Facts:
    return Facts(
        parameters=architecture.parameters,
        embedding_parameters=architecture.embedding_parameters,
        weight_bytes=architecture.parameters * FP32_BYTES,
        operations=merged(operations),
        peak_activation_bytes=peak * FP32_BYTES,
        length=length,
        basis=f"closed form from {architecture.basis} {said}",
    )
