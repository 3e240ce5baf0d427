"""A prediction beside the measurement that came of it: what later predictions learn from."""

import msgspec

from deployopt.core.artifact import Precision


class Experience(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One metric of one model on one machine; `predicted` and `measured` in base units.

    `predicted` is the uncorrected prediction for the machine that measured, so that corrections do
    not feed on themselves.
    """

    version: int = 1
    target: str
    """The target's name, or `this machine` for a proxy."""
    machine: str
    """A digest of what the machine is: CPU model, cores, architecture, GPU."""
    model: str
    """The reference's digest."""
    artifact: str
    runtime: str
    """Provider and version, e.g. `cpu 1.31.1`."""
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
