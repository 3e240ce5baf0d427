"""A folder in diffusers' form without diffusers: configs as they are, weights of a number each."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from tests.fakes.clip_words import write_clip_words

Config = dict[str, Any]
INDEX: Config = {
    "_class_name": "StableDiffusionPipeline",
    "feature_extractor": ["transformers", "CLIPImageProcessor"],
    "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
    "scheduler": ["diffusers", "PNDMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}
CONFIGS: dict[str, Config] = {
    "text_encoder": {
        "architectures": ["CLIPTextModel"],
        "model_type": "clip_text_model",
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 16,
        "vocab_size": 518,
        "pad_token_id": 1,
    },
    "unet": {
        "_class_name": "UNet2DConditionModel",
        "sample_size": 16,
        "in_channels": 4,
        "out_channels": 4,
        "block_out_channels": [32, 64],
        "layers_per_block": 1,
        "cross_attention_dim": 32,
        "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
    },
    "vae": {
        "_class_name": "AutoencoderKL",
        "latent_channels": 4,
        "block_out_channels": [16, 32],
        "layers_per_block": 1,
        "up_block_types": ["UpDecoderBlock2D", "UpDecoderBlock2D"],
    },
}
SCHEDULER: Config = {
    "_class_name": "PNDMScheduler",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "set_alpha_to_one": False,
    "steps_offset": 1,
    "skip_prk_steps": True,
}
FILES = {"text_encoder": "model", "unet": "diffusion_pytorch_model",
    "vae": "diffusion_pytorch_model"}  # fmt: skip


def write_folder(folder: Path, **changed: Config) -> Path:
    """The whole folder; `changed` by part (index, scheduler, unet, ...), None takes a key out."""
    write_clip_words(folder / "tokenizer")
    for part, config in CONFIGS.items():
        _write(folder / part / "config.json", config, changed.get(part, {}))
        weights = {"weight": np.zeros((2, 2), np.float32)}
        save_file(weights, folder / part / f"{FILES[part]}.safetensors")
    _write(folder / "scheduler" / "scheduler_config.json", SCHEDULER, changed.get("scheduler", {}))
    _write(folder / "model_index.json", INDEX, changed.get("index", {}))
    return folder


def _write(path: Path, config: Config, changed: Config) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tree = {key: value for key, value in {**config, **changed}.items() if value is not None}
    path.write_text(json.dumps(tree))
