"""What a transformer encoder costs, in closed form from its `config.json`: nothing is loaded.

In: the config as Hugging Face writes it, the workload, the tokens of a request. Out: `Facts`, or
None for a family that is not known here; its ONNX graph is counted instead. A key that a config
leaves out has the family's default. Counted as a classifier, with its head.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from deployopt.core.plan import Facts, Operation
from deployopt.core.workload import Workload

DEFAULT_LENGTH: Final = 128
"""Tokens a request where neither the workload nor the caller says."""
FP32_BYTES: Final = 4
_LARGEST: Final = 10_000_000


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters, in all and in the embedding tables, and the operations of one request."""

    parameters: int
    embedding_parameters: int
    operations: tuple[Operation, ...]
    peak_activations: int


_NAMES: Final[Mapping[str, Mapping[str, str]]] = {
    "distilbert": {
        "hidden_size": "dim",
        "intermediate_size": "hidden_dim",
        "num_hidden_layers": "n_layers",
        "num_attention_heads": "n_heads",
    }
}
_BERT: Final[Mapping[str, int]] = {
    "vocab_size": 30522,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
}
_ROBERTA: Final = {**_BERT, "vocab_size": 50265}
_DEFAULTS: Final[Mapping[str, Mapping[str, int]]] = {
    "bert": _BERT,
    "distilbert": {**_BERT, "num_hidden_layers": 6, "type_vocab_size": 0},
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "camembert": _ROBERTA,
    "electra": {
        **_BERT,
        "hidden_size": 256,
        "num_attention_heads": 4,
        "intermediate_size": 1024,
        "embedding_size": 128,
    },
    "mobilebert": {
        **_BERT,
        "hidden_size": 512,
        "num_hidden_layers": 24,
        "num_attention_heads": 4,
        "intermediate_size": 512,
        "embedding_size": 128,
        "true_hidden_size": 128,
        "num_feedforward_networks": 4,
    },
    "vit": {
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "image_size": 224,
        "patch_size": 16,
        "num_channels": 3,
    },
}
_DEFAULTS_ALSO: Final = {"deit": "vit"}


def facts_from_config(
    config: Mapping[str, object], workload: Workload, length: int | None = None
) -> Facts | None:
    """The facts of this model for one request of the workload.

    A workload that fixes the length decides; else `length`, else 128 tokens.
    """
    family = _DEFAULTS_ALSO.get(str(config.get("model_type")), str(config.get("model_type")))
    sizes = _sizes(config, family)
    if sizes is None:
        return None
    tokens: int | None = None
    if family == "vit":
        counts = _count_image(config, sizes, workload)
        basis = "closed form from the model's config"
    else:
        tokens = workload.length if isinstance(workload.length, int) else length or DEFAULT_LENGTH
        tokens = min(tokens, sizes["max_position_embeddings"])
        count = _count_mobilebert if family == "mobilebert" else _count_text
        counts = count(config, sizes, tokens * workload.batch, tokens)
        basis = f"closed form from the model's config at {tokens} tokens"
    return Facts(
        parameters=counts.parameters,
        embedding_parameters=counts.embedding_parameters,
        weight_bytes=counts.parameters * FP32_BYTES,
        operations=counts.operations,
        peak_activation_bytes=counts.peak_activations * FP32_BYTES,
        length=tokens,
        basis=basis,
    )


def _sizes(config: Mapping[str, object], family: str) -> dict[str, int] | None:
    """Every size that the family needs; None where one is not a sensible whole number."""
    defaults = _DEFAULTS.get(family)
    if defaults is None:
        return None
    names = _NAMES.get(family, {})
    sizes = {}
    for name, default in defaults.items():
        value = config.get(names.get(name, name), default)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _LARGEST:
            return None
        sizes[name] = value
    if min(sizes["hidden_size"], sizes["num_attention_heads"], sizes.get("patch_size", 1)) < 1:
        return None
    return sizes


def _labels(config: Mapping[str, object]) -> int:
    named = config.get("id2label")
    count = len(named) if isinstance(named, Mapping) else config.get("num_labels", 2)
    return count if isinstance(count, int) and 0 < count <= _LARGEST else 2


def _count_text(
    config: Mapping[str, object], sizes: Mapping[str, int], rows: int, tokens: int
) -> Counts:
    hidden, width = sizes["hidden_size"], sizes.get("embedding_size", sizes["hidden_size"])
    tables = sizes["vocab_size"] + sizes["max_position_embeddings"] + sizes["type_vocab_size"]
    projection = hidden * width + hidden if width != hidden else 0
    labels = _labels(config)
    layers = sizes["num_hidden_layers"]
    batch = rows // tokens
    operations = [
        elementwise(6 * rows * width),
        *encoder_layer(hidden, sizes["intermediate_size"], rows, tokens, layers, sizes),
        gemm(batch, hidden, hidden),
        gemm(batch, hidden, labels),
    ]
    if projection:
        operations.append(gemm(rows, width, hidden))
    return Counts(
        parameters=tables * width
        + 2 * width
        + projection
        + layers * layer_parameters(hidden, sizes["intermediate_size"])
        + (hidden * hidden + hidden)
        + (hidden * labels + labels),
        embedding_parameters=tables * width,
        operations=tuple(operations),
        peak_activations=_peak(rows, tokens, hidden, sizes),
    )


def _count_image(
    config: Mapping[str, object], sizes: Mapping[str, int], workload: Workload
) -> Counts:
    hidden, patch, channels = sizes["hidden_size"], sizes["patch_size"], sizes["num_channels"]
    side = sizes["image_size"] // patch
    shown = (workload.image_size or sizes["image_size"]) // patch
    tokens = shown * shown + 1
    rows = tokens * workload.batch
    labels, layers = _labels(config), sizes["num_hidden_layers"]
    inner = patch * patch * channels
    return Counts(
        parameters=(inner * hidden + hidden)
        + (side * side + 2) * hidden
        + layers * layer_parameters(hidden, sizes["intermediate_size"])
        + 2 * hidden
        + (hidden * labels + labels),
        embedding_parameters=0,
        operations=(
            gemm(rows, inner, hidden),
            *encoder_layer(hidden, sizes["intermediate_size"], rows, tokens, layers, sizes),
            elementwise(4 * rows * hidden),
            gemm(workload.batch, hidden, labels),
        ),
        peak_activations=_peak(rows, tokens, hidden, sizes),
    )


def _count_mobilebert(
    config: Mapping[str, object], sizes: Mapping[str, int], rows: int, tokens: int
) -> Counts:
    """MobileBERT as published: bottlenecks of `true_hidden_size`, shared keys and queries."""
    hidden, inner, ffn = sizes["hidden_size"], sizes["true_hidden_size"], sizes["intermediate_size"]
    width, layers, labels = sizes["embedding_size"], sizes["num_hidden_layers"], _labels(config)
    stacks = sizes["num_feedforward_networks"]
    pooler = hidden * hidden + hidden if config.get("classifier_activation", True) else 0
    tables = sizes["vocab_size"] * width
    tables += (sizes["max_position_embeddings"] + sizes["type_vocab_size"]) * hidden
    bottlenecks = 2 * (hidden * inner + 3 * inner) + (inner * hidden + 3 * hidden)
    attention = 3 * (inner * inner + inner) + (hidden * inner + inner) + 2 * inner
    feed = stacks * (2 * inner * ffn + ffn + 3 * inner)
    return Counts(
        parameters=tables
        + (3 * width * hidden + 3 * hidden)
        + layers * (bottlenecks + attention + feed)
        + pooler
        + (hidden * labels + labels),
        embedding_parameters=tables,
        operations=(
            gemm(rows, 3 * width, hidden),
            gemm(rows, hidden, inner, 3 * layers),
            gemm(rows, inner, inner, 3 * layers),
            gemm(rows, inner, hidden, layers),
            gemm(rows, inner, ffn, stacks * layers),
            gemm(rows, ffn, inner, stacks * layers),
            *attention_products(inner, rows, tokens, layers, sizes["num_attention_heads"]),
            elementwise(3 * rows * inner, (3 + 2 * stacks) * layers),
            elementwise(2 * rows * ffn, stacks * layers),
            gemm(rows // tokens, hidden, labels),
        ),
        peak_activations=_peak(rows, tokens, hidden, sizes),
    )


def layer_parameters(hidden: int, ffn: int) -> int:
    """Weights, biases and two layer norms of one encoder layer."""
    return 4 * (hidden * hidden + hidden) + 2 * hidden * ffn + ffn + hidden + 4 * hidden


def encoder_layer(
    hidden: int, ffn: int, rows: int, tokens: int, layers: int, sizes: Mapping[str, int]
) -> tuple[Operation, ...]:
    """The operations of all `layers` layers over `rows` = batch x tokens rows."""
    return (
        gemm(rows, hidden, hidden, 4 * layers),
        *attention_products(hidden, rows, tokens, layers, sizes["num_attention_heads"]),
        gemm(rows, hidden, ffn, layers),
        gemm(rows, ffn, hidden, layers),
        elementwise(8 * rows * ffn, layers),  # an exported GELU is five operators
        elementwise(5 * rows * hidden, 2 * layers),  # the sum and the layer norm
    )


def attention_products(
    hidden: int, rows: int, tokens: int, layers: int, heads: int
) -> tuple[Operation, ...]:
    """Scores, softmax and the weighted sum."""
    scores = heads * rows * tokens
    product = Operation(
        kind="gemm",
        macs=rows * tokens * hidden,
        weights=0,
        activations=2 * rows * hidden + scores,
        count=2 * layers,
    )
    return (product, elementwise(4 * scores, layers))


def gemm(rows: int, inner: int, outer: int, count: int = 1) -> Operation:
    """`count` products of `[rows, inner]` with weights `[inner, outer]`."""
    return Operation(
        kind="gemm",
        macs=rows * inner * outer,
        weights=inner * outer,
        activations=rows * (inner + outer),
        count=count,
    )


def elementwise(elements: int, count: int = 1) -> Operation:
    """`count` operators that read and write `elements` in all and multiply next to nothing."""
    return Operation(kind="elementwise", macs=0, weights=0, activations=elements, count=count)


def _peak(rows: int, tokens: int, hidden: int, sizes: Mapping[str, int]) -> int:
    """Elements alive at once: the residual and the wider of attention and feed-forward."""
    attention = 4 * rows * hidden + 2 * sizes["num_attention_heads"] * rows * tokens
    return 2 * rows * hidden + max(attention, 3 * rows * sizes["intermediate_size"])
