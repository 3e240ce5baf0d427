"""How far answers move when a server cannot be told all that was measured: found out, not guessed.

In: an open bundle, the session options that the server heeds. Out: how many examples of the gate
were asked both ways, how many labels stayed, and how far a share moved at most.
"""

from itertools import islice
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from deployopt.core.artifact import SessionOptions
from deployopt.core.examples import open_examples
from deployopt.device.bundle_reader import OpenBundle
from deployopt.device.inputs import feeds
from deployopt.device.reference import logits_of
from deployopt.device.run import shares_of
from deployopt.device.session import open_session
from deployopt.device.setup import EvaluationSet, Setup

MOST: Final = 64
"""Examples."""


class Likeness(msgspec.Struct, frozen=True, kw_only=True):
    """Of the same examples under two sets of session options."""

    examples: int
    same: int
    """Labels that are the same."""
    moved: float
    """The greatest difference of a share (0 to 1)."""

    @property
    def words(self) -> str:
        """One sentence."""
        by = f" by more than {self.moved:.2g}" if self.moved else ""
        return (
            f"Asked both ways on this machine's CPU, {self.same} of {self.examples} examples of "
            f"the gate have the same label, and no probability moved{by}."
        )


def likeness_of(bundle: OpenBundle, heeded: SessionOptions) -> Likeness | None:
    """Ask both sessions; None where the bundle has no examples, labels, or no CPU to run on.

    Raises:
        DeviceError, IntegrityError: the model cannot be opened here.
    """
    gate, manifest = bundle.gate, bundle.manifest
    if gate is None or not manifest.interface.labels or bundle.target.runtime.provider != "cpu":
        return None
    shipped = bundle.setup
    told = msgspec.structs.replace(shipped, session=heeded)
    one, other = _shares(gate, shipped), _shares(gate, told)
    return Likeness(
        examples=len(one),
        same=int((one.argmax(axis=1) == other.argmax(axis=1)).sum()),
        moved=float(np.abs(one - other).max()),
    )


def _shares(gate: EvaluationSet, setup: Setup) -> npt.NDArray[np.float64]:
    session = open_session(setup)
    inputs = list(islice(open_examples(gate.examples).inputs, MOST))
    names = list(gate.interface.outputs)
    outputs = [
        dict(zip(names, session.run(names, feed), strict=True))
        for feed in feeds(gate.interface, gate.folder, inputs, gate.workload)
    ]
    return np.stack([shares_of(gate.interface, row) for row in logits_of(gate.interface, outputs)])
