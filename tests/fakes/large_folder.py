"""A folder of a decoder with 400 layers and 70 billion parameters: headers, and holes for weights.

The parts are sparse files: as long as real ones, with next to nothing on the disk.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

LAYERS: Final = 400
HIDDEN: Final = 4096
FFN: Final = 10496
VOCABULARY: Final = 152064
HEADS: Final = 32
KV_HEADS: Final = 8
PARTS: Final = 40
_BYTES: Final = 2  # bfloat16


def write_large_decoder(folder: Path, *, weights: bool = True) -> Path:
    """Config, index and parts; without `weights` the config alone."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": HIDDEN,
        "intermediate_size": FFN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "vocab_size": VOCABULARY,
        "max_position_embeddings": 131072,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
    }
    (folder / "config.json").write_text(json.dumps(config))
    if weights:
        _write_parts(folder, dict(_tensors()))
    return folder


def large_parameters() -> int:
    """All of them, as the headers count them."""
    return sum(_elements(shape) for _, shape in _tensors())


def _tensors() -> Iterator[tuple[str, tuple[int, ...]]]:
    narrow = HIDDEN // HEADS * KV_HEADS
    yield "model.embed_tokens.weight", (VOCABULARY, HIDDEN)
    for layer in range(LAYERS):
        at = f"model.layers.{layer}"
        yield f"{at}.self_attn.q_proj.weight", (HIDDEN, HIDDEN)
        yield f"{at}.self_attn.k_proj.weight", (narrow, HIDDEN)
        yield f"{at}.self_attn.v_proj.weight", (narrow, HIDDEN)
        yield f"{at}.self_attn.o_proj.weight", (HIDDEN, HIDDEN)
        yield f"{at}.mlp.gate_proj.weight", (FFN, HIDDEN)
        yield f"{at}.mlp.up_proj.weight", (FFN, HIDDEN)
        yield f"{at}.mlp.down_proj.weight", (HIDDEN, FFN)
        yield f"{at}.input_layernorm.weight", (HIDDEN,)
        yield f"{at}.post_attention_layernorm.weight", (HIDDEN,)
    yield "model.norm.weight", (HIDDEN,)
    yield "lm_head.weight", (VOCABULARY, HIDDEN)


def _write_parts(folder: Path, tensors: dict[str, tuple[int, ...]]) -> None:
    names = list(tensors)
    index: dict[str, str] = {}
    for part in range(PARTS):
        file = f"model-{part + 1:05d}-of-{PARTS:05d}.safetensors"
        mine = names[part * len(names) // PARTS : (part + 1) * len(names) // PARTS]
        index |= dict.fromkeys(mine, file)
        _write_part(folder / file, {name: tensors[name] for name in mine})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))


def _write_part(path: Path, tensors: dict[str, tuple[int, ...]]) -> None:
    header: dict[str, object] = {}
    position = 0
    for name, shape in tensors.items():
        end = position + _elements(shape) * _BYTES
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [position, end]}
        position = end
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    os.truncate(path, 8 + len(text) + position)


def _elements(shape: tuple[int, ...]) -> int:
    return shape[0] * (shape[1] if len(shape) > 1 else 1)
