"""A model as an ordinary folder: config, safetensors, and another folder's tokenizer files."""

from pathlib import Path
from typing import Final

from transformers import PreTrainedModel

from deployopt.modeling.quiet import quiet_transformers
from deployopt.store.writing import copy_new_file

BESIDE: Final = (
    "merges.txt",
    "preprocessor_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
)


def save_folder(model: PreTrainedModel, like: Path, folder: Path) -> None:
    """Write the model into `folder`, which is there and empty, with what stands beside `like`'s."""
    with quiet_transformers():
        model.save_pretrained(folder)
    for name in BESIDE:
        if (like / name).is_file():
            copy_new_file((like / name).resolve(), folder / name)
