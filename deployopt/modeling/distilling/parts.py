"""What is watched in the student and in its teacher, and which answers for which.

In: both models and one example. Out: their modules by the same names. Two encoders of known
families answer layer by layer, two convolution nets where their outputs have the same size; other
image classifiers learn from the answers alone. Refuses text models of other families.
"""

import math
from collections.abc import Mapping

import msgspec
from torch import Tensor, nn
from transformers import PreTrainedModel

from deployopt.core.errors import StepError
from deployopt.core.interface import ImageInputs, Interface
from deployopt.modeling.distilling.layers import layer_map
from deployopt.modeling.distilling.options import DistilOptions
from deployopt.modeling.distilling.stages import stages
from deployopt.modeling.encoders import Encoder
from deployopt.modeling.pruning.kinds import pruned_by

RELATED = ("query", "key", "value")


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """Modules by `hidden 0`, `hidden 1`, …, and the last layer's projections by their names."""

    student: dict[str, nn.Module]
    teacher: dict[str, nn.Module]
    widths: tuple[tuple[int, int], ...]
    """Of each hidden state, the student's and the teacher's."""
    map: tuple[int, ...] = ()
    """For each student layer the teacher's, of encoders."""
    heads: int = 1
    """Of the relations."""


def parts_of(
    student: PreTrainedModel,
    teacher: PreTrainedModel,
    interface: Interface,
    options: DistilOptions,
    example: Mapping[str, Tensor],
) -> Parts:
    """What is watched for these weights of the loss.

    Raises:
        StepError: a family that is not known, or layers that do not fit.
    """
    kinds = {pruned_by(str(model.config.model_type)) for model in (student, teacher)}
    if kinds == {"encoder"} or not isinstance(interface.inputs, ImageInputs):
        return _of_encoders(Encoder(student), Encoder(teacher), options)
    if options.relation_weight > 0:
        raise StepError(
            "Relations are learned between two encoders of known families, and these are "
            f"{student.config.model_type} and {teacher.config.model_type}. Set relation_weight=0."
        )
    if options.hidden_weight == 0:
        return Parts(student={}, teacher={}, widths=())
    taught, known = stages(student, example), stages(teacher, example)
    shared = [size for size in taught if size in known]
    return Parts(
        student={f"hidden {at}": taught[size].module for at, size in enumerate(shared)},
        teacher={f"hidden {at}": known[size].module for at, size in enumerate(shared)},
        widths=tuple((taught[size].width, known[size].width) for size in shared),
    )


def _of_encoders(taught: Encoder, known: Encoder, options: DistilOptions) -> Parts:
    pairs = layer_map(len(known.layers), len(taught.layers), options.layers)
    hidden = pairs if options.hidden_weight > 0 else ()
    relations = options.relation_weight > 0
    return Parts(
        student=_watched(taught, range(len(hidden)), relations=relations),
        teacher=_watched(known, hidden, relations=relations),
        widths=((taught.hidden, known.hidden),) * len(hidden),
        map=pairs,
        heads=math.gcd(known.shape.heads, taught.shape.heads),
    )


def _watched(
    encoder: Encoder, layers: range | tuple[int, ...], *, relations: bool
) -> dict[str, nn.Module]:
    parts: dict[str, nn.Module] = {
        f"hidden {at}": encoder.layers[layer] for at, layer in enumerate(layers)
    }
    if relations:
        last = len(encoder.layers) - 1
        for name in RELATED:
            parts[name] = encoder.part(last, getattr(encoder.family, name))
    return parts
