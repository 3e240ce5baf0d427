"""What can be cut of a model, by its type; names only, so that a search can ask without torch."""

from typing import Literal

from deployopt.modeling.pruning.families import FAMILIES
from deployopt.modeling.pruning.widths import NARROWERS

Kind = Literal["encoder", "channels"]


def pruned_by(model_type: str) -> Kind | None:
    """Layers, neurons and heads of an encoder, the channels of a convolution net, or nothing."""
    if model_type in FAMILIES:
        return "encoder"
    return "channels" if model_type in NARROWERS else None
