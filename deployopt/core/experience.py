"""A prediction beside the measurement that came of it: what later predictions learn from."""

import hashlib
import math
from collections.abc import Mapping

import msgspec

from deployopt.core.artifact import Precision, RuntimeName
from deployopt.core.card import tensorrt_version
from deployopt.core.codec import encode_json
from deployopt.core.evidence import Estimate
from deployopt.core.measurement import Machine
from deployopt.core.target import Target
from deployopt.core.version import VERSION

_RUNTIMES = ("onnxruntime-gpu", "onnxruntime")


class Experience(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One metric of one model on one machine; `predicted` and `measured` in base units.

    `predicted` is the uncorrected prediction for the machine that measured, so that corrections do
    not feed on themselves.
    """

    version: int = 1
    target: str
    """The target's name; the machine that measured was that target."""
    machine: str
    """A digest of what the machine is: CPU model, cores, architecture, GPU."""
    premises: str
    """What the prediction rested on besides the model: see `premises_of`."""
    model: str
    """The reference's digest."""
    artifact: str
    runtime: str
    """Provider and version, e.g. `cpu 1.31.1`; `openvino 2026.4.1` of the other runtime."""
    precision: Precision
    convolutional: bool
    metric: str
    predicted: float
    measured: float
    samples: int

    @property
    def ratio(self) -> float:
        """Measured over predicted: above 1 is slower or larger than expected."""
        return self.measured / self.predicted

    @property
    def usable(self) -> bool:
        """Whether both numbers are what times and sizes can be."""
        return all(math.isfinite(x) and x > 0 for x in (self.predicted, self.measured))


class Foreseen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`forecast.json` in a bundle: the uncorrected prediction, and what it was made for."""

    premises: str
    model: str
    """The reference's digest."""
    convolutional: bool
    estimates: dict[str, Estimate] = {}


class Measured(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a metric came to on the target, in its base unit."""

    value: float
    samples: int


class Seat(msgspec.Struct, frozen=True, kw_only=True):
    """Where and of what it was measured."""

    target: str
    machine: str
    runtime: str
    artifact: str
    precision: Precision


def experiences_of(
    seat: Seat, foreseen: Foreseen, measured: Mapping[str, Measured]
) -> tuple[Experience, ...]:
    """One for each metric that was both predicted and measured."""
    made = (
        Experience(
            target=seat.target,
            machine=seat.machine,
            premises=foreseen.premises,
            model=foreseen.model,
            artifact=seat.artifact,
            runtime=seat.runtime,
            precision=seat.precision,
            convolutional=foreseen.convolutional,
            metric=metric,
            predicted=foreseen.estimates[metric].value,
            measured=found.value,
            samples=found.samples,
        )
        for metric, found in measured.items()
        if metric in foreseen.estimates
    )
    return tuple(e for e in made if e.usable)


def premises_of(target: Target) -> str:
    """A digest of the target's own figures and of this version, whose coefficients decide the rest.

    Ratios to a prediction that would come out otherwise today teach nothing.
    """
    figures = (target.hardware, target.runtime.provider, target.runtime.threads, target.calibration)
    return hashlib.sha256(VERSION.encode() + b"\0" + encode_json(figures)).hexdigest()


def machine_digest(machine: Machine, gpus: tuple[str, ...] = ()) -> str:
    """The same for machines of one make; neither their names nor their load is in it."""
    what = [machine.arch, machine.cpu, machine.board or "", str(machine.cores), *sorted(gpus)]
    return hashlib.sha256("\0".join(what).encode()).hexdigest()


def runtime_words(
    provider: str, packages: Mapping[str, str], runtime: RuntimeName = "onnxruntime"
) -> str:
    """`cpu 1.31.1`: the provider and the runtime's version; `openvino 2026.4.1`.

    Predictions are of ONNX Runtime, so what another runtime took must not correct them. A plan of
    TensorRT's has the name of its provider, as `tensorrt` is that of ONNX Runtime's.
    """
    if runtime == "tensorrt":
        return f"{provider} {tensorrt_version(packages) or '?'}"
    if runtime != "onnxruntime":
        return f"{runtime} {packages.get(runtime, '?')}"
    version = next((packages[name] for name in _RUNTIMES if name in packages), "?")
    return f"{provider} {version}"
