"""Folders that say of themselves what CLIP's and SigLIP's say, written without torch: tiny."""

from pathlib import Path
from typing import Any, Final

import numpy as np

from tests.fakes.model_folder import write_json, write_safetensors
from tests.fakes.sentence_pieces import write_pieces

WORDS: Final = ("a", "photo", "of", "cat", "dog", "the")
BEGIN, END = "<|startoftext|>", "<|endoftext|>"
CONTEXT: Final = 8
SIDE: Final = 16


def clip_config(**changed: Any) -> dict[str, Any]:
    """Of its `config.json`, the sizes of both towers inside."""
    text = {"vocab_size": len(WORDS) + 2, "max_position_embeddings": CONTEXT, "hidden_size": 8,
        "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}  # fmt: skip
    vision = {"image_size": SIDE, "patch_size": 8, "hidden_size": 8, "num_hidden_layers": 1,
        "num_attention_heads": 2, "intermediate_size": 16}  # fmt: skip
    return {
        "architectures": ["CLIPModel"],
        "model_type": "clip",
        "projection_dim": 4,
        "text_config": text,
        "vision_config": vision,
    } | changed


def write_clip_folder(folder: Path, **changed: Any) -> Path:
    """The whole folder; its weights are zeros."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", clip_config(**changed))
    vocabulary = {word: at for at, word in enumerate((BEGIN, END, *WORDS))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=END))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A {END}", special_tokens=[(BEGIN, 0), (END, 1)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    preprocessor = {
        "size": {"shortest_edge": SIDE},
        "do_center_crop": True,
        "crop_size": {"height": SIDE, "width": SIDE},
        "resample": 3,
    }
    write_json(folder / "preprocessor_config.json", preprocessor)
    weights = {
        "logit_scale": np.zeros((1,), np.float32),
        "text_projection.weight": np.zeros((4, 8), np.float32),
        "visual_projection.weight": np.zeros((4, 8), np.float32),
    }
    write_safetensors(folder / "model.safetensors", weights)
    return folder


def write_siglip_folder(folder: Path, **options: Any) -> Path:
    """The same of SigLIP, its words in a SentencePiece model; `options` are the tokenizer's."""
    folder.mkdir(parents=True, exist_ok=True)
    words = write_pieces(folder / "spiece.model", WORDS)
    config = clip_config(architectures=["SiglipModel"], model_type="siglip")
    config["text_config"] |= {"vocab_size": words, "pad_token_id": 0}
    del config["text_config"]["max_position_embeddings"]
    write_json(folder / "config.json", config)
    write_json(folder / "tokenizer_config.json", {"pad_token": "</s>"} | options)
    preprocessor = {"size": {"height": SIDE, "width": SIDE}, "resample": 3}
    write_json(folder / "preprocessor_config.json", preprocessor)
    weights = {
        "logit_scale": np.zeros((1,), np.float32),
        "logit_bias": np.zeros((1,), np.float32),
        "text_model.head.weight": np.zeros((8, 8), np.float32),
        "vision_model.head.probe": np.zeros((1, 1, 8), np.float32),
    }
    write_safetensors(folder / "model.safetensors", weights)
    return folder
