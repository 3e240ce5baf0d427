"""A tiny pipeline in diffusers' form with random weights, and prompts to draw."""

import json
from pathlib import Path
from typing import Any

from tests.fakes.clip_words import write_clip_words

PROMPTS = tuple(
    f"a {colour} {thing} {place}"
    for colour in ("red", "green", "blue", "small", "old")
    for thing in ("cat", "car", "tree")
    for place in ("in snow", "at night", "by the sea")
)
"""45 of them."""


def write_pipeline(folder: Path, *, scheduler: str = "PNDMScheduler", **options: Any) -> Path:
    """As `save_pretrained` of a StableDiffusionPipeline writes it; 16 pixels a side."""
    import diffusers
    import torch
    import transformers

    torch.manual_seed(0)
    words = write_clip_words(folder / "tokenizer")
    text = transformers.CLIPTextConfig(
        vocab_size=words, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, max_position_embeddings=16, projection_dim=32,
        bos_token_id=words - 2, eos_token_id=words - 1, pad_token_id=1,
    )  # fmt: skip
    transformers.CLIPTextModel(text).eval().save_pretrained(folder / "text_encoder")
    unet = diffusers.UNet2DConditionModel(
        sample_size=8, in_channels=4, out_channels=4, block_out_channels=(32, 64),
        layers_per_block=1, norm_num_groups=8, cross_attention_dim=32, attention_head_dim=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), **options,
    )  # fmt: skip
    unet.eval().save_pretrained(folder / "unet")
    vae = diffusers.AutoencoderKL(
        block_out_channels=(16, 32), layers_per_block=1, norm_num_groups=8, latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        scaling_factor=0.18215,
    )  # fmt: skip
    vae.eval().save_pretrained(folder / "vae")
    noise = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
        "set_alpha_to_one": False, "steps_offset": 1, "clip_sample": False}  # fmt: skip
    write_json(folder / "scheduler" / "scheduler_config.json", {"_class_name": scheduler, **noise})
    write_json(
        folder / "model_index.json",
        {
            "_class_name": "StableDiffusionPipeline",
            "feature_extractor": [None, None],
            "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
            "scheduler": ["diffusers", scheduler],
            "text_encoder": ["transformers", "CLIPTextModel"],
            "tokenizer": ["transformers", "CLIPTokenizer"],
            "unet": ["diffusers", "UNet2DConditionModel"],
            "vae": ["diffusers", "AutoencoderKL"],
        },
    )
    return folder


def write_json(path: Path, tree: object) -> None:
    """Make the folder too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(tree))


def write_prompts(path: Path) -> Path:
    """One a line."""
    path.write_text("".join(f"{prompt}\n" for prompt in PROMPTS))
    return path
