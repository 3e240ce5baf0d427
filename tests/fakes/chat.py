"""A tiny language model in Hugging Face form: two layers, random weights, a real tokenizer.

Written with numpy, so that nothing of it needs torch.
"""

import functools
import json
from pathlib import Path
from typing import Final

import numpy as np

HIDDEN: Final = 64
LAYERS: Final = 2
HEADS: Final = 4
KV_HEADS: Final = 2
FFN: Final = 256
WORDS: Final = 400
CONTEXT: Final = 512
END: Final = "<|im_end|>"
TEMPLATE: Final = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_TEXT: Final = (
    "The quick brown fox jumps over the lazy dog while the old cat sleeps in the warm sun.",
    "A budget is a limit on a metric, and a verdict says whether the model is inside it.",
    "Rain fell on the small town all day, and the river rose above the stone bridge.",
    "She wrote a letter to her brother about the garden, the house and the long winter.",
    "Numbers such as 1, 12, 125 and 2048 stand between words; so do commas, and dots.",
)


def write_tiny_llama(folder: Path, **changed: object) -> Path:
    """Write the folder; `changed` are entries of config.json."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True)
    config: dict[str, object] = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": HIDDEN,
        "intermediate_size": FFN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "head_dim": HIDDEN // HEADS,
        "vocab_size": WORDS,
        "max_position_embeddings": CONTEXT,
        "rms_norm_eps": 1e-5,
        "hidden_act": "silu",
        "rope_theta": 10000.0,
        "tie_word_embeddings": True,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 2,
        "torch_dtype": "float32",
    }
    (folder / "config.json").write_text(json.dumps(config | changed))
    save_file(tiny_weights(), folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "tokenizer.json").write_text(tiny_tokenizer())
    options = {"bos_token": "<|im_start|>", "eos_token": END, "pad_token": END,
        "unk_token": "<|endoftext|>", "tokenizer_class": "PreTrainedTokenizerFast"}  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(options))
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    (folder / "generation_config.json").write_text('{"eos_token_id": 2}')
    return folder


def tiny_weights(seed: int = 0) -> dict[str, np.ndarray]:
    """By transformers' names, float32; head and embedding are one."""
    random = np.random.default_rng(seed)

    def weight(*shape: int) -> np.ndarray:
        return (random.standard_normal(shape) * 0.2).astype(np.float32)

    found = {"model.embed_tokens.weight": weight(WORDS, HIDDEN)}
    keys = HIDDEN // HEADS * KV_HEADS
    for layer in range(LAYERS):
        at = f"model.layers.{layer}"
        found |= {
            f"{at}.self_attn.q_proj.weight": weight(HIDDEN, HIDDEN),
            f"{at}.self_attn.k_proj.weight": weight(keys, HIDDEN),
            f"{at}.self_attn.v_proj.weight": weight(keys, HIDDEN),
            f"{at}.self_attn.o_proj.weight": weight(HIDDEN, HIDDEN),
            f"{at}.mlp.gate_proj.weight": weight(FFN, HIDDEN),
            f"{at}.mlp.up_proj.weight": weight(FFN, HIDDEN),
            f"{at}.mlp.down_proj.weight": weight(HIDDEN, FFN),
            f"{at}.input_layernorm.weight": 1 + weight(HIDDEN),
            f"{at}.post_attention_layernorm.weight": 1 + weight(HIDDEN),
        }
    return found | {"model.norm.weight": 1 + weight(HIDDEN)}


@functools.cache
def tiny_tokenizer() -> str:
    """The text of a byte-level tokenizer.json with three special tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    built = Tokenizer(models.BPE())
    built.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    built.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=WORDS,
        special_tokens=["<|endoftext|>", "<|im_start|>", END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    built.train_from_iterator(_TEXT, trainer)
    text: str = built.to_str()
    return text


def sentences(count: int, words: int = 40, seed: int = 0) -> list[str]:
    """Made-up documents that do not resemble one another."""
    random = np.random.default_rng(seed)
    known = " ".join(_TEXT).split()
    return [
        f"Text {at} says: " + " ".join(known[i] for i in random.integers(0, len(known), words))
        for at in range(count)
    ]
