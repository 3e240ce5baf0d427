"""Where the encoders of each family that is pruned and taught keep their parts; names only.

Fewer heads of the same width need projections narrower than the hidden state. ViT and DeiT have a
`head_dim` in their config and can say so. BERT, RoBERTa, ELECTRA and DistilBERT work a head's
width out as hidden / heads, so that a model with fewer heads could not be loaded again: there all
heads stay. Not here: ALBERT shares one layer, MobileBERT narrows inside, DeBERTa and MPNet share
tables of distances between layers and heads.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

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


def family_of(kind: object) -> Family:
    """The family of a config's `model_type`.

    Raises:
        StepError: it is not known.
    """
    found = FAMILIES.get(str(kind))
    if found is None:
        raise StepError(
            f"Models of the type {str(kind)[:64]!r} cannot be pruned or taught layer by layer; "
            f"those that can are {', '.join(FAMILIES)}. Quantize it as it is, or start from one "
            "of these."
        )
    return found


def whole_shape(config: Mapping[str, object]) -> Shape | None:
    """The shape that a config.json tells; None where it leaves a size to its class's default.

    Raises:
        StepError: a family that is not known.
    """
    family = family_of(config.get("model_type"))
    keys = (family.layers_key, family.heads_key, family.ffn_key)
    layers, heads, ffn = (config.get(key) for key in keys)
    if not (isinstance(layers, int) and isinstance(heads, int) and isinstance(ffn, int)):
        return None
    return Shape(layers=tuple(range(layers)), heads=heads, ffn=ffn)


def check_heads(kind: object, whole: Shape, shape: Shape) -> None:
    """Raise StepError where fewer heads are wanted and no config could say so."""
    if shape.heads < whole.heads and family_of(kind).head_dim_key is None:
        raise StepError(
            f"A {kind} model keeps all {whole.heads} heads: its config works a head's width out "
            "of the hidden size, so that one with fewer could not be loaded. Keep all heads, and "
            "give up feed-forward neurons or layers instead."
        )
