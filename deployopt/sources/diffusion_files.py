"""Which files of a folder in diffusers' form make up a pipeline for drawing.

In: the names, or a folder. Out: `model_index.json`, a config and safetensors weights of each part,
the scheduler's config, the tokenizer's files. Refuses pickled weights and parts in several files.
Everything else (a safety checker, weights in other forms) is left where it is and never opened.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from deployopt.core.errors import RefusedInputError, UsageError
from deployopt.sources.checks import CONFIG_MAX_BYTES, JSON_MAX_BYTES, check_regular, is_pickled

INDEX: Final = "model_index.json"
CONFIG: Final = "config.json"
SCHEDULER: Final = "scheduler/scheduler_config.json"
TOKENIZER_FOLDER: Final = "tokenizer"
WEIGHTS: Final[Mapping[str, str]] = {
    "text_encoder": "model.safetensors",
    "unet": "diffusion_pytorch_model.safetensors",
    "vae": "diffusion_pytorch_model.safetensors",
}
"""The parts, and the file that each has its weights in."""
CONFIGS: Final = (INDEX, *(f"{part}/{CONFIG}" for part in WEIGHTS))
"""What tells the shape."""
_TOKENIZER: Final = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
)
_VOCABULARIES: Final = frozenset({"tokenizer.json", "vocab.json", "merges.txt"})
_NEEDED: Final = (
    *CONFIGS,
    SCHEDULER,
    *(f"{part}/{name}" for part, name in WEIGHTS.items()),
)


def is_pipeline(names: Iterable[str]) -> bool:
    """Whether these are the files of a pipeline in diffusers' form."""
    return INDEX in names


def pipeline_files(names: Iterable[str], where: str) -> tuple[str, ...]:
    """The names that are taken, relative to the folder.

    Raises:
        RefusedInputError: a part's weights are pickles only.
        UsageError: a file is missing.
    """
    there = set(names)
    missing = [name for name in _NEEDED if name not in there]
    if missing:
        _refuse_pickles(there, missing, where)
        raise UsageError(
            f"{where} is not a whole pipeline: {', '.join(missing)} missing. deployopt reads "
            "folders as diffusers' `save_pretrained` writes them, with safetensors weights and "
            "each part's weights in one file (max_shard_size)."
        )
    words = [f"{TOKENIZER_FOLDER}/{name}" for name in _TOKENIZER]
    return tuple(sorted((*_NEEDED, *(name for name in words if name in there))))


def _refuse_pickles(there: set[str], missing: list[str], where: str) -> None:
    folders = {name.rpartition("/")[0] for name in missing if name.endswith(".safetensors")}
    pickled = sorted(
        name for name in there if is_pickled(name) and name.rpartition("/")[0] in folders
    )
    if pickled:
        raise RefusedInputError(
            f"{where} holds its weights as {', '.join(pickled[:3])}: a pickle, which can run code "
            "when it is read, so it was not opened. Convert it where you trust it, with "
            "`pipeline.save_pretrained(folder)`, and give that folder."
        )


def list_pipeline(folder: Path) -> tuple[str, ...]:
    """The same of a local folder, each a regular file inside it and no larger than it may be.

    Raises:
        RefusedInputError: a file is a link out of the folder, no file, or too large.
        UsageError: a file is missing.
    """
    places = (folder, *(folder / name for name in (*WEIGHTS, "scheduler", TOKENIZER_FOLDER)))
    names = [
        path.relative_to(folder).as_posix()
        for place in places
        if place.is_dir()
        for path in place.iterdir()
    ]
    wanted = pipeline_files(names, str(folder))
    for name in wanted:
        check_regular(folder / name, folder)
        limit = size_limit(name)
        if limit is not None and (folder / name).stat().st_size > limit:
            raise RefusedInputError(f"{folder / name} has more than {limit} bytes.")
    return wanted


def size_limit(name: str) -> int | None:
    """The most bytes that a file may have; None of weights."""
    if name.endswith(".safetensors"):
        return None
    return JSON_MAX_BYTES if name.rpartition("/")[2] in _VOCABULARIES else CONFIG_MAX_BYTES
