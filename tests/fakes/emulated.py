"""Results of emulation, made up, for what reads and shows them."""

from deployopt.core.artifact import Precision
from deployopt.core.emulation import (
    CountsCompared,
    EmulateResult,
    InstructionCounts,
    InstructionKind,
    Numerics,
    SmallInstall,
)
from deployopt.core.verdict import Outcome


def numerics(**changed: object) -> Numerics:
    """Eight examples that agree to the last digits."""
    values: dict[str, object] = {
        "examples": 8,
        "requests": 8,
        "within": 8,
        "tolerance": 1e-5,
        "worst": 2.5e-7,
        "rms": 1e-7,
        "rms_allowed": None,
        "non_finite": 0,
        "non_finite_here": 0,
        "same_class": 8,
        "agree_reference": 7,
        "agree_reference_here": 7,
        "exact_here": True,
    }
    return Numerics(**(values | changed))  # type: ignore[arg-type]


def counts(**by_kind: int) -> InstructionCounts:
    """Of two requests; kinds that are not given are none."""
    found = dict.fromkeys(InstructionKind, 0)
    found |= {InstructionKind(kind): count for kind, count in by_kind.items()}
    return InstructionCounts(requests=2, examples_sha256="e" * 64, by_kind=found, steady=True)


def compared(ratio: float = 0.5, allowed: float | None = None) -> CountsCompared:
    """With an earlier build in floating point."""
    return CountsCompared(
        name="earlier",
        precision=Precision.FP32,
        processor="cortex-a72",
        onnxruntime="1.31.1",
        bundle_digest="d" * 64,
        counts=counts(float_multiply_add=4_000_000, load=2_000_000),
        ratio=ratio,
        allowed=allowed,
    )


def emulate_result(**changed: object) -> EmulateResult:
    """An int8 bundle on a Pi 4's processor."""
    values: dict[str, object] = {
        "bundle": "/bundles/sample",
        "bundle_digest": "d" * 64,
        "name": "sample-rpi4",
        "precision": Precision.INT8,
        "deployed_bytes": 20 * 2**20,
        "target": "rpi4",
        "target_title": "Raspberry Pi 4, 4 GB",
        "processor": "cortex-a72",
        "emulator": "QEMU 7.2.22",
        "onnxruntime": "1.31.1",
        "onnxruntime_here": "1.31.1",
        "gate_examples": 3306,
        "numerics": numerics(),
        "install": SmallInstall(
            python="3.11.2",
            versions={"numpy": "2.4.6", "onnxruntime": "1.31.1"},
            sizes={"numpy": 55 * 2**20, "onnxruntime": 53 * 2**20},
            imported=("numpy", "onnxruntime"),
        ),
        "counts": counts(integer_multiply=2_000_000, load=1_000_000),
        "outcome": Outcome.ACCEPTED,
        "reasons": ("every output is within 1e-05 of this machine's",),
        "seconds": {"Numerics": 20.0, "Instructions": 4.0},
        "exit_code": 0,
    }
    return EmulateResult(**(values | changed))  # type: ignore[arg-type]
