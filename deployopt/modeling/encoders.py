"""An encoder of a known family as layers of known parts.

In: a transformers model. Out: its layers and the modules that pruning cuts and distilling watches.
Refuses other families, and a known one that is built otherwise than expected.
"""

from torch import nn
from transformers import PreTrainedModel

from deployopt.core.errors import StepError
from deployopt.modeling.pruning.families import family_of
from deployopt.modeling.pruning.shape import Shape


class Encoder:
    """A model seen as layers of known parts."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self.kind = str(model.config.model_type)
        self.family = family_of(self.kind)
        self.prefix = f"{model.base_model_prefix}.{self.family.layers}."
        try:
            self.layers: list[nn.Module] = list(model.get_submodule(self.prefix[:-1]))
            for path in (self.family.query, self.family.out, self.family.up, self.family.down):
                self.layers[0].get_submodule(path)
        except (AttributeError, IndexError, TypeError) as error:
            raise StepError(
                f"This {self.kind} model is built otherwise than expected ({error}), so its layers "
                "cannot be pruned or taught. Leave those steps out."
            ) from error

    def number(self, key: str) -> int:
        """A size as the config says it."""
        return int(getattr(self.model.config, key))

    @property
    def hidden(self) -> int:
        """Width between layers."""
        return self.number(self.family.hidden_key)

    @property
    def head_dim(self) -> int:
        """Width of one head."""
        return int(self.part(0, self.family.query).out_features) // self.shape.heads

    @property
    def shape(self) -> Shape:
        """All of it."""
        return Shape(
            layers=tuple(range(len(self.layers))),
            heads=self.number(self.family.heads_key),
            ffn=self.number(self.family.ffn_key),
        )

    def part(self, layer: int, path: str) -> nn.Linear:
        """A linear layer within a layer."""
        found: nn.Linear = self.layers[layer].get_submodule(path)
        return found
