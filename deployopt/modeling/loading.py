"""A local folder in Hugging Face form becomes a torch module; nothing of the folder is run.

Weights must be safetensors and every file local. A config that names code, kernels or an attention
implementation is refused before transformers sees it.
"""

import json
from pathlib import Path
from typing import Final, TypeAlias

import torch
import transformers
from transformers import PreTrainedModel

from deployopt.core.errors import RefusedInputError, StepError
from deployopt.core.interface import Task
from deployopt.modeling.quiet import quiet_transformers

CONFIG: Final = "config.json"
_MAX_CONFIG_BYTES: Final = 4 * 2**20
_MAX_DEPTH: Final = 32
_CODE_KEYS: Final = frozenset(
    {"auto_map", "custom_pipelines", "kernel_config", "use_kernels", "trust_remote_code"}
)
# These may name code on a hub; the names of transformers' own attention are harmless.
_CHOICE_KEYS: Final = frozenset({"attn_implementation", "experts_implementation"})
_OWN_CHOICES: Final = (None, "", "eager", "sdpa")
_CLASS_ENDINGS: Final = {
    Task.TEXT_CLASSIFICATION: ("ForSequenceClassification",),
    Task.IMAGE_CLASSIFICATION: ("ForImageClassification",),
    Task.OBJECT_DETECTION: ("ForObjectDetection",),
    Task.IMAGE_TEXT: ("CLIPModel", "SiglipModel"),
    Task.TEXT_GENERATION: ("ForCausalLM",),
}

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"


def load_model(folder: Path, task: Task) -> PreTrainedModel:
    """The model in evaluation mode, float32, with eager attention.

    Raises:
        RefusedInputError: pickled weights, or a config that asks for code.
        StepError: no config or weights, or an architecture that does not answer the task.
    """
    config = read_config(folder)
    check_weights(folder)
    model_class = model_class_of(folder, config, task)
    with quiet_transformers():
        try:
            model = model_class.from_pretrained(
                folder,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                attn_implementation="eager",
                dtype=torch.float32,
            )
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise StepError(
                f"The weights in {folder} do not load as {model_class.__name__}: {error} "
                "Check that config.json belongs to these weights."
            ) from error
    loaded: PreTrainedModel = model.eval()
    return loaded


def read_config(folder: Path) -> dict[str, Json]:
    """config.json, refused if any key at any depth names code to run.

    Raises:
        RefusedInputError: such a key, or a file too large or deep.
        StepError: there is no config, or it is not a JSON object.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise StepError(f"{folder} has no {CONFIG}. Name a folder that save_pretrained wrote.")
    if path.stat().st_size > _MAX_CONFIG_BYTES:
        raise RefusedInputError(f"{path} was not opened: it is over 4 MB.")
    try:
        config = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise StepError(f"{path} is not JSON: {error}. Fetch the model again.") from error
    if not isinstance(config, dict):
        raise StepError(f"{path} is not a JSON object. Fetch the model again.")
    _refuse_keys(config, path, 0)
    return config


def _refuse_keys(value: Json, path: Path, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise RefusedInputError(f"{path} was not opened: it is nested deeper than {_MAX_DEPTH}.")
    if isinstance(value, dict):
        named = sorted(key for key, chosen in value.items() if _names_code(key, chosen))
        if named:
            raise RefusedInputError(
                f"{path} was not opened: its key {named[0]!r} makes transformers run other code "
                "than its own. Remove the key if the model is of a class that transformers has."
            )
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in inner:
        _refuse_keys(item, path, depth + 1)


def _names_code(key: str, value: Json) -> bool:
    if key in _CODE_KEYS:
        return value not in (None, False)
    return key.removeprefix("_").removesuffix("_internal") in _CHOICE_KEYS and (
        value not in _OWN_CHOICES
    )


def check_weights(folder: Path) -> None:
    """Raise unless the folder holds its weights as safetensors."""
    names = {path.name for path in folder.iterdir()}
    if names & {"model.safetensors", "model.safetensors.index.json"}:
        return
    pickled = sorted(n for n in names if n.endswith((".bin", ".pt", ".pth", ".pkl", ".ckpt")))
    if pickled:
        raise RefusedInputError(
            f"{folder} was not opened: its weights are pickled ({pickled[0]}), and reading a "
            "pickle runs code. Save the model as safetensors, the default of save_pretrained."
        )
    raise StepError(f"{folder} has no model.safetensors. Name a folder that save_pretrained wrote.")


def model_class_of(folder: Path, config: dict[str, Json], task: Task) -> type[PreTrainedModel]:
    """The concrete class that the config names: cheaper to import than an Auto class."""
    endings = _CLASS_ENDINGS.get(task)
    if endings is None:
        raise StepError(f"{folder}: export does not know the task {task}.")
    named = config.get("architectures")
    first = named[0] if isinstance(named, list) and named else None
    if first is None:
        return _by_task(folder, config, task)
    if not isinstance(first, str) or not first.endswith(endings) or not first.isidentifier():
        raise StepError(
            f"{folder} holds {str(first)[:80]}, which does not answer {task}. "
            f"A class that ends in {' or '.join(endings)} is needed."
        )
    found = getattr(transformers, first, None)
    if not (isinstance(found, type) and issubclass(found, PreTrainedModel)):
        raise StepError(
            f"{folder} holds {first}, which transformers {transformers.__version__} does not have."
        )
    return found


def _by_task(folder: Path, config: dict[str, Json], task: Task) -> type[PreTrainedModel]:
    """Where the config names no class, optimum's table of tasks says which it is."""
    from optimum.exporters.tasks import TasksManager

    kind = config.get("model_type")
    if not isinstance(kind, str):
        raise StepError(f"{folder}/{CONFIG} has neither architectures nor model_type.")
    try:
        auto = TasksManager.get_model_class_for_task(task.value, model_type=kind)
        settings = transformers.AutoConfig.for_model(kind)
        found: type[PreTrainedModel] = auto._model_mapping[type(settings)]  # noqa: SLF001
    except (KeyError, ValueError) as error:
        raise StepError(f"{folder}: {kind[:64]} models do not answer {task}.") from error
    return found
