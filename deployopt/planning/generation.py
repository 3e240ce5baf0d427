"""How fast a model that makes its output token by token does so: prefill and decode apart.

In: a target, a model's shape, a precision, the prompt and the context in tokens. Out: seconds to
the first token, tokens a second of the prompt, tokens a second after it. Prefill computes; decode
reads every weight for each token, so the memory's bandwidth bounds it.
"""

from typing import Final

import msgspec

from deployopt.core.architecture import Architecture
from deployopt.core.artifact import Precision
from deployopt.core.evidence import Estimate
from deployopt.core.plan import Facts
from deployopt.core.target import Target
from deployopt.planning.experience import Correction
from deployopt.planning.operations import decode_facts, prefill_facts
from deployopt.planning.predict import predict_latency
from deployopt.planning.terms import Domain

_PCIE: Final = 25e9
"""Bytes a second between GPUs where the target names no interconnect."""
_EXCHANGE_S: Final = 15e-6
"""Seconds that an exchange among GPUs costs besides its bytes: assumed."""
_EXCHANGES: Final = 2
"""A layer: after attention and after the feed-forward."""
_VALUE_BYTES: Final = 2.0


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a prediction of generation is for."""

    target: Target
    architecture: Architecture
    precision: Precision
    correction: Correction | None
    devices: int


def predict_generation(  # noqa: PLR0913 -- what is generated, where, and what was learnt
    target: Target,
    architecture: Architecture,
    precision: Precision,
    *,
    prompt: int,
    context: int,
    batch: int = 1,
    correction: Correction | None = None,
    devices: int = 1,
) -> dict[str, Estimate]:
    """`ttft_s`, `prefill_tps`, `decode_tps` (of all sequences together); empty if not predicted.

    `devices`: GPUs that each layer is split over, exchanging its values twice.
    """
    if not architecture.generates:
        return {}
    asked = Asked(
        target=target,
        architecture=architecture,
        precision=precision,
        correction=correction,
        devices=devices,
    )
    facts = prefill_facts(architecture, batch=batch, prompt=prompt)
    first = _predict(asked, facts, "prefill", batch * prompt)
    facts = decode_facts(architecture, batch=batch, context=context)
    token = _predict(asked, facts, "decode", batch)
    if first is None or token is None:
        return {}
    return {
        "ttft_s": first,
        "prefill_tps": _rate(first, batch * prompt),
        "decode_tps": _rate(token, batch),
    }


def _predict(asked: Asked, facts: Facts, domain: Domain, tokens: int) -> Estimate | None:
    found = predict_latency(
        asked.target,
        facts,
        asked.precision,
        correction=asked.correction,
        domain=domain,
        devices=asked.devices,
    )
    if found is None or asked.devices == 1:
        return found
    wait = _exchanged(asked, tokens)
    return msgspec.structs.replace(
        found,
        value=found.value + wait,
        lower=found.lower + wait,
        upper=found.upper + wait,
        basis=f"{found.basis}; split over {asked.devices} GPUs",
    )


def _exchanged(asked: Asked, tokens: int) -> float:
    """Seconds of the all-reduces: each moves 2 (n - 1) / n of the values past every GPU."""
    gpu = asked.target.hardware.gpu
    link = float(gpu.interconnect) if gpu is not None and gpu.interconnect else _PCIE
    total = 0.0
    for stack in asked.architecture.stacks:
        share = 2 * (asked.devices - 1) / asked.devices
        moved = share * tokens * stack.hidden * _VALUE_BYTES / link
        total += stack.layers * _EXCHANGES * (_EXCHANGE_S + moved)
    return total


def _rate(time: Estimate, tokens: int) -> Estimate:
    return Estimate(
        value=tokens / time.value,
        lower=tokens / time.upper,
        upper=tokens / time.lower,
        coverage=time.coverage,
        basis=time.basis,
    )
