"""How long a build will take here: a rough sum over its stages, from nothing that was measured yet.

In: the facts of the model, what is going to be made and asked, and how many cores there are. Out:
seconds with a wide band. Downloads are not in it; what the store already holds makes it shorter.
"""

from typing import Final

import msgspec

from deployopt.core.evidence import Estimate
from deployopt.core.plan import Facts

BAND: Final = 2.0

# A core's fp32 rate as ONNX Runtime reaches it on small requests: the embedded model's 0.26 GMAC
# took 3.3 ms on two cores with AVX-512; a Cortex-A72 reaches a third of its peak.
_CORE_RATE: Final = {"x86_64": 50e9, "aarch64": 5e9}
# Texts are counted at the length of a tail; the mean request is about half as long.
_MEAN_SHARE: Final = 0.5
_REQUEST_S: Final = 0.3e-3
# PyTorch in eager mode takes about three times ONNX Runtime's time on short requests.
_EAGER: Final = 3.0
# Importing torch and transformers, building the model, tracing it; then per million parameters.
_EXPORT_S: Final = 12.0
_EXPORT_S_PER_MILLION: Final = 0.06
_QUANTIZE_S: Final = 1.5
_QUANTIZE_S_PER_MILLION: Final = 0.02
_PUBLISH_S: Final = 3.0


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What a build would do: `quantized` of the `recipes` are made from the float one."""

    recipes: int
    quantized: int
    calibration: int
    """Examples that a static quantization runs; 0 for dynamic ones."""
    search: int
    gate: int
    timing_s: float
    """Seconds that the rounds of one recipe take."""
    exported: bool
    """From a model of transformers, rather than a graph."""


def build_seconds(facts: Facts, work: Work, *, arch: str, cores: int) -> Estimate:
    """Wall seconds of the whole command on `cores` of this kind."""
    macs = sum(operation.macs * operation.count for operation in facts.operations)
    rate = _CORE_RATE.get(arch, min(_CORE_RATE.values())) * max(1, cores)
    share = 1.0 if facts.length is None else _MEAN_SHARE
    request_s = 2 * macs * share / rate + _REQUEST_S
    millions = facts.parameters / 1e6
    export_s = _EXPORT_S + _EXPORT_S_PER_MILLION * millions if work.exported else 0.0
    quantize_s = work.quantized * (
        _QUANTIZE_S + _QUANTIZE_S_PER_MILLION * millions + work.calibration * request_s
    )
    reference = _EAGER if work.exported else 1.0
    asked_s = request_s * (
        reference * (work.search + work.gate) + work.recipes * work.search + work.gate
    )
    total = export_s + quantize_s + asked_s + work.recipes * work.timing_s + _PUBLISH_S
    return Estimate(
        value=total,
        lower=total / BAND,
        upper=total * BAND,
        basis=f"stages of a build on {cores} cores like these, assumed; downloads not counted",
    )
