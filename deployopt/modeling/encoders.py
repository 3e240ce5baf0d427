"""Where an encoder of a known family keeps its layers, projections and sizes.

In: a transformers model. Out: its layers and the modules that pruning cuts and distilling watches.
Refuses families whose layers are not of this form (ALBERT shares one layer, MobileBERT narrows
inside, DeBERTa and MPNet share tables between layers and heads).

Fewer heads of the same width need projections narrower than the hidden state. ViT and DeiT have a
`head_dim` in their config and can say so. BERT, RoBERTa, ELECTRA and DistilBERT work the head's
width out as hidden / heads, so that a model with fewer heads could not be loaded again: there all
heads stay.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from torch import nn
from transformers import PreTrainedModel

from deployopt.core.errors import StepError
from deployopt.modeling.pruning.shape import Shape


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """Paths from the base model to its layers and within a layer, and the config's keys."""

    layers: str
    query: str
    key: str
    value: str
    out: str
    up: str
    down: str
    layers_key: str = "num_hidden_layers"
    heads_key: str = "num_attention_heads"
    ffn_key: str = "intermediate_size"
    hidden_key: str = "hidden_size"
    head_dim_key: str | None = None
    """Where the config can say a head's width; None where it follows from the hidden size."""


_BERT: Final = Family(
    layers="encoder.layer",
    query="attention.self.query",
    key="attention.self.key",
    value="attention.self.value",
    out="attention.output.dense",
    up="intermediate.dense",
    down="output.dense",
)
_DISTILBERT: Final = Family(
    layers="transformer.layer",
    query="attention.q_lin",
    key="attention.k_lin",
    value="attention.v_lin",
    out="attention.out_lin",
    up="ffn.lin1",
    down="ffn.lin2",
    layers_key="n_layers",
    heads_key="n_heads",
    ffn_key="hidden_dim",
    hidden_key="dim",
)
_VIT: Final = Family(
    layers="layers",
    query="attention.q_proj",
    key="attention.k_proj",
    value="attention.v_proj",
    out="attention.o_proj",
    up="mlp.fc1",
    down="mlp.fc2",
    head_dim_key="head_dim",
)
FAMILIES: Final[Mapping[str, Family]] = {
    "bert": _BERT,
    "camembert": _BERT,
    "deit": _VIT,
    "distilbert": _DISTILBERT,
    "electra": _BERT,
    "roberta": _BERT,
    "vit": _VIT,
    "xlm-roberta": _BERT,
}


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


def family_of(kind: str) -> Family:
    """The family of a config's `model_type`.

    Raises:
        StepError: it is not known.
    """
    found = FAMILIES.get(kind)
    if found is None:
        raise StepError(
            f"Models of the type {kind!r} cannot be pruned or taught layer by layer; those that "
            f"can are {', '.join(FAMILIES)}. Quantize it as it is, or start from one of these."
        )
    return found
