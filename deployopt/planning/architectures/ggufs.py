"""A GGUF file's header becomes its model's shape.

In: what the header says; its sizes are those of the model's config, under names of GGUF's own. Out:
an architecture, with the file's own count of weights. Refuses a kind of model whose names are not
known here, and a header that leaves one out.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from deployopt.core.architecture import Architecture
from deployopt.core.errors import UsageError
from deployopt.core.text import safe_text
from deployopt.core.weights import StoredWeights
from deployopt.planning.architectures.keys import BY_HAND
from deployopt.planning.architectures.reading import read_architecture

KINDS: Final[Mapping[str, str]] = {
    "gemma": "gemma",
    "gemma2": "gemma2",
    "gemma3": "gemma3_text",
    "granite": "granite",
    "llama": "llama",
    "phi3": "phi3",
    "qwen2": "qwen2",
    "qwen3": "qwen3",
    "qwen3moe": "qwen3_moe",
    "smollm3": "smollm3",
}
"""GGUF's names of model types; Mistral and Mixtral are `llama` there."""
_NEEDED: Final[Mapping[str, str]] = {
    "embedding_length": "hidden_size",
    "block_count": "num_hidden_layers",
    "attention.head_count": "num_attention_heads",
    "feed_forward_length": "intermediate_size",
    "context_length": "max_position_embeddings",
}
_OTHERS: Final[Mapping[str, str]] = {
    "attention.head_count_kv": "num_key_value_heads",
    "attention.key_length": "head_dim",
    "attention.sliding_window": "sliding_window",
}
_EXPERTS: Final[Mapping[str, str]] = {
    "expert_count": "num_experts",
    "expert_used_count": "num_experts_per_tok",
    "expert_feed_forward_length": "moe_intermediate_size",
}
_TABLE: Final = "token_embd.weight"
_HEAD: Final = "output.weight"
_BIAS: Final = "blk.0.attn_q.bias"
_FLOATS: Final[Mapping[str, str]] = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
_NOTED: Final = 0.01
_MATRIX: Final = 2


def gguf_architecture(
    kind: str, sizes: Mapping[str, object], stored: StoredWeights, main_type: str
) -> Architecture:
    """The shape of a model whose kind is `kind`.

    `sizes` are under GGUF's names without the kind before them; shapes of `stored` have rows first;
    `main_type` is what most weights are stored in.

    Raises:
        UsageError: the kind is not known here, or a size is missing or cannot be.
    """
    if kind not in KINDS:
        raise UsageError(
            f"The file holds a model of the kind {safe_text(kind, 40)!r}, whose shape is not read "
            f"from a GGUF header. Kinds that are: {', '.join(KINDS)}. Name the model that it was "
            f"made of, or give its sizes by hand: {BY_HAND}"
        )
    missing = [f"{kind}.{name}" for name in _NEEDED if name not in sizes]
    if missing or _TABLE not in stored.tensors:
        raise UsageError(
            f"The header of the GGUF file does not say {', '.join(missing) or _TABLE}. Fetch the "
            f"file again, or give the model's sizes by hand: {BY_HAND}"
        )
    shape = read_architecture(_config(kind, sizes, stored.tensors))
    count = sum(stored.elements.values())
    return msgspec.structs.replace(
        shape,
        parameters=count,
        dtype=_FLOATS.get(main_type, main_type.lower()),
        stored={name.lower(): n for name, n in sorted(stored.elements.items())},
        stored_bytes=stored.bytes,
        basis=f"the header of the GGUF file{_difference(shape.parameters, count)}",
    )


def _config(
    kind: str, sizes: Mapping[str, object], tensors: Mapping[str, tuple[int, ...]]
) -> dict[str, object]:
    mixed = bool(sizes.get("expert_count"))
    names = {**_NEEDED, **_OTHERS, **(_EXPERTS if mixed else {})}
    found = {theirs: sizes[own] for own, theirs in names.items() if own in sizes}
    table = tensors[_TABLE]
    found["model_type"] = KINDS[kind]
    if kind == "llama" and mixed:
        found["model_type"] = "mixtral"
        found["num_local_experts"] = found.pop("num_experts")
    found["vocab_size"] = table[0] if len(table) == _MATRIX else 0
    found["tie_word_embeddings"] = _HEAD not in tensors
    if KINDS[kind] in {"llama", "granite", "smollm3"}:
        found["attention_bias"] = _BIAS in tensors
    return found


def _difference(expected: int, found: int) -> str:
    share = found / expected - 1
    if abs(share) <= _NOTED:
        return ""
    return (
        f"; it holds {abs(share):.1%} {'more' if share > 0 else 'fewer'} parameters than its sizes "
        f"tell ({found:,} against {expected:,})"
    )
