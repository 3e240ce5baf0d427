"""The forms that are made of a plain float graph for a card, whatever opens them there.

In: what the card and its runtime work in, and the last step of every form. Out: names, steps,
reasons. The types of a form's graph decide what is worked out in what.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from deployopt.core.artifact import Artifact, Format, Precision
from deployopt.core.card import CUDA, TENSORRT, has_bfloat16
from deployopt.core.recipe import Recipe, Step
from deployopt.core.target import Target
from deployopt.steps.bfloat16 import ConvertBfloat16
from deployopt.steps.engine import BuildEngine
from deployopt.steps.float8 import QuantizeFloat8
from deployopt.steps.for_card import OpenOnCard
from deployopt.steps.half import ConvertHalf
from deployopt.steps.symmetric import QuantizeSymmetric
from deployopt.steps.tf32 import AllowTf32

HALF: Final = "fp16"
FLOAT8: Final = "fp8"
BRAIN: Final = "bf16"
SHORT: Final = "tf32"
SHORTENED: Final = {
    HALF: Precision.FP16,
    FLOAT8: Precision.FP8,
    BRAIN: Precision.BF16,
    SHORT: Precision.TF32,
}
"""Forms with shorter floats, and what each is worked out in."""
CardForm = tuple[str, tuple[Step, ...], str]
"""Name, steps behind the plain float graph, and reason."""


class Abilities(msgspec.Struct, frozen=True, kw_only=True):
    """Of a card and what opens the graph there: whether it has products of these pairs."""

    int8: bool
    float8: bool


def as_it_came(source: Artifact) -> bool:
    """Whether no form is made of a model: it is quantized or in shorter floats already."""
    if source.precision in {Precision.INT8, Precision.FP8, Precision.MIXED}:
        return True
    # Another model's half floats are made float32 by the export.
    return source.format is Format.ONNX and source.precision in {Precision.FP16, Precision.BF16}


def card_forms(
    source: Artifact,
    last: Step,
    told: Callable[[str], str],
    abilities: Abilities,
    *,
    convolutional: bool,
) -> tuple[CardForm, ...]:
    """Float first, which the others have to beat; `told` says of a form what it is for."""
    if as_it_came(source):
        return (("float", (last,), told("in its own precisions")),)
    whole = ("float", (last,), f"{told('in fp32')}, TF32 off; others have to beat it")
    half = ConvertHalf()
    forms: list[CardForm] = [
        whole,
        (HALF, (half, last), f"{told('in fp16')}, ranges checked on real inputs"),
    ]
    if abilities.float8:
        why = f"{told('with static float8 products (E4M3)')}, the rest in fp16"
        forms.append((FLOAT8, (QuantizeFloat8(), half, last), why))
    if abilities.int8:
        # A transformer's values have outliers that carry meaning; a convolution net's are cut off.
        pairs = QuantizeSymmetric(calibration="percentile" if convolutional else "minmax")
        why = f"{told('with static int8 products (signed, symmetric)')}, the rest in fp16"
        forms.append(("int8", (pairs, half, last), why))
    return tuple(forms)


def longer_recipes(whole: Recipe, target: Target) -> tuple[Recipe, ...]:
    """Of the float form's recipe, those in bfloat16 and TF32 that the card and its runtime have.

    ONNX Runtime's own kernels for CUDA have bfloat16 of some operators only, and its TensorRT
    provider has no option for TF32. Without a peak of TF32 there is no gain in it to speak of.
    """
    *start, last = whole.steps
    provider = target.runtime.provider
    if not has_bfloat16(target.compute_capability):
        return ()
    found: list[CardForm] = []
    if provider not in {CUDA, TENSORRT}:
        found.append((BRAIN, (ConvertBfloat16(), last), "in bfloat16, which has float32's range"))
    gains = target.hardware.peak.tf32 is not None and provider != TENSORRT
    if gains and isinstance(last, BuildEngine | OpenOnCard):
        allowed = msgspec.structs.replace(last, tf32=True)
        found.append((SHORT, (AllowTf32(), allowed), "in fp32 with TF32 on"))
    why = "float16 does not do"
    return tuple(
        Recipe(name=name, steps=(*start, *steps), reason=f"the model {how}, as {why}")
        for name, steps, how in found
    )
