"""A model as an ordinary folder: config, safetensors, and another folder's tokenizer files."""

from pathlib import Path

from transformers import PreTrainedModel

from deployopt.modeling.quiet import quiet_transformers
from deployopt.store.model_folders import BESIDE
from deployopt.store.writing import copy_new_file


def save_folder(model: PreTrainedModel, like: Path, folder: Path) -> None:
    """Write the model into `folder`, which is there and empty, with what stands beside `like`'s."""
    with quiet_transformers():
        model.save_pretrained(folder)
    for name in BESIDE:
        if (like / name).is_file() and not (folder / name).exists():
            copy_new_file((like / name).resolve(), folder / name)
