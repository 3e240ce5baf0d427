"""Whether answers there are the answers here, and whether an inference costs more than it did.

In: two evaluations of the same examples, counts. Out: numerics, and an outcome with its reasons.

Sums run in another order on another processor, so the last digits differ: 1e-5 is allowed. An
artifact that rounds to few bits while it runs turns a last digit, now and then, into a whole step,
and steps grow from layer to layer. Adding one unit in the last place to a table of weights of a
five-layer int8 model moved 17 of 400 answers on one and the same machine, by up to 2.4 %. So such
an artifact is judged over all examples together, as any 8-bit model beside its float one: a tenth
(20 dB). Arithmetic that is wrong is wrong everywhere, and far beyond that.
"""

import math
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from deployopt.core.artifact import Precision
from deployopt.core.emulation import CountsCompared, Numerics
from deployopt.core.interface import Interface
from deployopt.core.samples import Array, Feed
from deployopt.core.verdict import Outcome
from deployopt.device.accuracy import Evaluation
from deployopt.device.agreement import RELATIVE_RMS_MAX, agrees
from deployopt.device.reference import Reference, classes_of, logits_of

TOLERANCE: Final = 1e-5
_FLOATS: Final = frozenset({Precision.FP32, Precision.FP16, Precision.BF16, Precision.TF32})


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """The artifact, and what it answered in both places."""

    interface: Interface
    precision: Precision
    reference: Reference
    there: Evaluation
    here: Evaluation
    exact_here: bool


class Apart(msgspec.Struct, frozen=True, kw_only=True):
    """How far one output's values are from those here: the greatest by request, and all of them."""

    by_request: tuple[float, ...]
    rms: float


def numerics_of(compared: Compared) -> Numerics:
    """The answers there beside those here and the reference's."""
    there, here = compared.there, compared.here
    found = apart(there.outputs, here.outputs)
    worst = [max(values) for values in zip(*(f.by_request for f in found), strict=True)]
    classes = [_classes(compared.interface, e) for e in (there, here)]
    return Numerics(
        examples=there.examples,
        requests=len(there.outputs),
        within=sum(value <= TOLERANCE for value in worst),
        tolerance=TOLERANCE,
        worst=max(worst, default=0.0),
        rms=max((f.rms for f in found), default=0.0),
        rms_allowed=None if compared.precision in _FLOATS else RELATIVE_RMS_MAX,
        non_finite=there.non_finite,
        non_finite_here=here.non_finite,
        same_class=_equal(classes[0], classes[1]),
        agree_reference=_agreeing(compared, there, classes[0]),
        agree_reference_here=_agreeing(compared, here, classes[1]),
        exact_here=compared.exact_here,
    )


def apart(there: Sequence[Feed], here: Sequence[Feed]) -> list[Apart]:
    """Each output of all requests; the names are those of the first request here."""
    names = list(here[0]) if here else []
    return [_apart([f.get(name) for f in there], [f[name] for f in here]) for name in names]


def judged(numerics: Numerics, compared: CountsCompared | None) -> tuple[Outcome, tuple[str, ...]]:
    """The outcome, and why."""
    outcome, reason = _judged_numerics(numerics)
    if compared is None or compared.allowed is None:
        return outcome, (reason,)
    grown = f"{(compared.ratio - 1) * 100:+.2f} % instructions against {compared.name}"
    most = f"{(compared.allowed - 1) * 100:g} %"
    if compared.ratio > compared.allowed:
        return Outcome.REJECTED, (reason, f"{grown}: more than the {most} that may be")
    return outcome, (reason, f"{grown}: {most} may be")


def _judged_numerics(found: Numerics) -> tuple[Outcome, str]:
    same = found.same_class in {None, found.examples}
    if found.non_finite > found.non_finite_here:
        return Outcome.REJECTED, f"{found.non_finite} examples have outputs that are not finite"
    if found.worst <= found.tolerance and same:
        return Outcome.ACCEPTED, f"every output is within {found.tolerance:g} of this machine's"
    if not found.exact_here:
        return Outcome.UNDECIDED, (
            "outputs differ, and 8-bit products saturate on this machine, which has no VNNI: its "
            "own answers are no measure"
        )
    if found.rms_allowed is None:
        return Outcome.REJECTED, (
            f"outputs differ by up to {found.worst:.2g} of their greatest, and {found.tolerance:g} "
            "is what another order of sums does"
        )
    if not found.rms <= found.rms_allowed:
        return Outcome.REJECTED, (
            f"outputs differ by {found.rms:.2g} (root mean square), more than rounding to few "
            f"bits does ({found.rms_allowed:g})"
        )
    return _judged_rounding(found, same=same)


def _judged_rounding(found: Numerics, *, same: bool) -> tuple[Outcome, str]:
    if not same:
        changed = found.examples - (found.same_class or 0)
        return Outcome.UNDECIDED, (
            f"{changed} of {found.examples} examples have another class there, as rounding can do "
            "where two classes are close; deployopt verify on the device settles the accuracy"
        )
    return Outcome.ACCEPTED, (
        f"every class is this machine's; {found.within} of {found.requests} outputs are within "
        f"{found.tolerance:g}, and in the others a last digit fell on the other side of a rounding"
    )


def _apart(there: Sequence[Array | None], here: Sequence[Array]) -> Apart:
    greatest = max((_greatest(b) for b in here), default=0.0)
    by_request, squares, whole = [], 0.0, 0.0
    for a, b in zip(there, here, strict=True):
        difference = _difference(a, b)
        largest = _greatest(difference)
        by_request.append(largest / greatest if largest and greatest else largest)
        squares += float(np.sum(difference**2))
        whole += float(np.sum(np.where(np.isfinite(b), b, 0).astype(np.float64) ** 2))
    rms = math.sqrt(squares / whole) if squares and whole else math.sqrt(squares)
    return Apart(by_request=tuple(by_request), rms=rms)


def _difference(there: Array | None, here: Array) -> Array:
    """Value by value; infinite where they cannot be compared, zero where both are not finite."""
    if there is None or there.shape != here.shape or there.dtype != here.dtype:
        return np.array([np.inf])
    a, b = there.astype(np.float64), here.astype(np.float64)
    finite = np.isfinite(a) & np.isfinite(b)
    apart_here = np.abs(np.where(finite, a, 0) - np.where(finite, b, 0))
    odd = np.isfinite(a) != np.isfinite(b)
    if not np.issubdtype(here.dtype, np.floating):
        odd = a != b
    return np.asarray(np.where(odd, np.inf, apart_here))


def _greatest(values: Array) -> float:
    finite = values[~np.isnan(values)] if np.issubdtype(values.dtype, np.floating) else values
    return float(np.abs(finite.astype(np.float64)).max(initial=0.0))


def _classes(interface: Interface, evaluation: Evaluation) -> Array | None:
    if not interface.classifies:
        return None
    return classes_of(logits_of(interface, evaluation.outputs))


def _equal(there: Array | None, here: Array | None) -> int | None:
    return None if there is None or here is None else int((there == here).sum())


def _agreeing(compared: Compared, evaluation: Evaluation, classes: Array | None) -> int:
    """Examples, or requests where nothing is classified, that agree with the reference."""
    reference = compared.reference
    if classes is not None and reference.classes is not None:
        return int((classes == reference.classes[: len(classes)]).sum())
    answers: Sequence[Feed] = reference.results or ()
    return sum(agrees(a, b) for a, b in zip(evaluation.outputs, answers, strict=False))
