"""What a model folder may not bring along: code, in any form, and files outside itself.

In: a folder as it came, or the bytes of one of its JSON files. Out: the files worth taking, or the
decoded JSON. Pickled weights, names of code to load at any depth of a config, links, and files
that are too large are refused. Files that are not taken are never opened.
"""

import re
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.errors import RefusedInputError, UsageError
from deployopt.sources.weights import looks_like_pickle

JSON_MAX_BYTES: Final = 64 * 2**20
CONFIG_MAX_BYTES: Final = 16 * 2**20
DEPTH_MAX: Final = 32
ADAPTER: Final = "adapter_config.json"
INDEX: Final = "model.safetensors.index.json"
CHAT_TEMPLATE: Final = "chat_template.jinja"
# What is taken from a model folder, and the most bytes it may have; weights have no limit.
SMALL_FILES: Final[Mapping[str, int]] = {
    "config.json": CONFIG_MAX_BYTES,
    "generation_config.json": CONFIG_MAX_BYTES,
    "preprocessor_config.json": CONFIG_MAX_BYTES,
    "processor_config.json": CONFIG_MAX_BYTES,
    "tokenizer.json": JSON_MAX_BYTES,
    "tokenizer_config.json": CONFIG_MAX_BYTES,
    "special_tokens_map.json": CONFIG_MAX_BYTES,
    "vocab.json": JSON_MAX_BYTES,
    "vocab.txt": JSON_MAX_BYTES,
    "merges.txt": JSON_MAX_BYTES,
    "spiece.model": JSON_MAX_BYTES,
    CHAT_TEMPLATE: 2**20,
    INDEX: CONFIG_MAX_BYTES,
}
_SHARD: Final = re.compile(r"model(-\d{5}-of-\d{5})?\.safetensors")
_PICKLED_WEIGHTS: Final = re.compile(r"pytorch_model(-\d{5}-of-\d{5})?\.bin")
_PICKLED: Final = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib")
_CODE_KEYS: Final = frozenset({"auto_map", "custom_pipelines", "trust_remote_code", "kernel_config",
    "use_kernels", "hub_kernels"})  # fmt: skip
_CHOICE_KEYS: Final = frozenset({"attn_implementation", "experts_implementation"})
_SAFE_CHOICES: Final = frozenset({"eager", "sdpa"})
_QUANTIZED_KEYS: Final = frozenset({"quantization_config", "compression_config"})


def wanted_files(names: Iterable[str], where: str, *, pickles: bool = False) -> tuple[str, ...]:
    """Which of the names make up a model: config, safetensors weights, tokenizer, preprocessor.

    With `pickles` the weights may be pickles, where there are no others.

    Raises:
        RefusedInputError: the weights are pickles only.
        UsageError: no config or no weights.
    """
    names = sorted(set(names))
    weights = [name for name in names if _SHARD.fullmatch(name)]
    pickled = [name for name in names if is_pickled(name)]
    if not weights and pickles:
        weights = [name for name in pickled if _PICKLED_WEIGHTS.fullmatch(name)] or pickled[:1]
    if not weights and pickled:
        raise RefusedInputError(
            f"{where} holds its weights as {', '.join(pickled[:3])}: a pickle, which can run code "
            "when it is read, so it was not opened. Convert it where you trust it, with "
            "`model.save_pretrained(folder, safe_serialization=True)`, and give that folder; or "
            "let `build --unsafe-load-pickle` read it in a confined process."
        )
    if ADAPTER in names and not weights:
        raise UsageError(
            f"{where} holds an adapter without its base, and so no model that can be built. Merge "
            "it into its base (`merge_and_unload` of peft, for LoRA), or fine-tune by a method "
            "whose result is a model: full, freeze or lora. A prefix cannot be merged."
        )
    missing = [] if "config.json" in names else ["config.json"]
    missing += [] if weights else ["model.safetensors"]
    if missing:
        found = f"it holds {', '.join(names[:8])}" if names else "it is empty"
        raise UsageError(
            f"{where} is not a model folder: {' and '.join(missing)} missing ({found}). Such a "
            "folder holds config.json, model.safetensors and, for text, tokenizer.json or, for "
            "images, preprocessor_config.json, as `save_pretrained` writes them."
        )
    if "model.safetensors" in weights:
        weights = ["model.safetensors"]
        names = [name for name in names if name != INDEX]
    elif INDEX not in names and not all(map(is_pickled, weights)):
        raise UsageError(f"{where} holds parts of the weights and no {INDEX}.")
    return tuple(sorted([*weights, *(name for name in names if name in SMALL_FILES)]))


def is_pickled(name: str) -> bool:
    """Whether a file of this name holds weights as code would read them."""
    return name.endswith(_PICKLED)


def list_model_folder(folder: Path, *, pickles: bool = False) -> tuple[str, ...]:
    """The names in a local folder that make up the model, each a regular file inside it.

    Raises:
        RefusedInputError: a file that is needed is a link out of the folder, or no file.
        UsageError: not a model folder.
    """
    names = (child.name for child in folder.iterdir())
    wanted = wanted_files(names, str(folder), pickles=pickles)
    for name in wanted:
        check_regular(folder / name, folder)
        limit = SMALL_FILES.get(name)
        if limit is not None and (folder / name).stat().st_size > limit:
            raise RefusedInputError(f"{folder / name} has more than {limit} bytes.")
    return wanted


def check_regular(path: Path, folder: Path) -> None:
    """Refuse a link that leaves `folder`, a pipe, a device."""
    target = path.resolve()
    if not any(target.is_relative_to(home) for home in readable_for(folder)):
        raise RefusedInputError(
            f"{path} is a link to {target}, outside its folder, and was not followed. Copy the "
            "file into the folder."
        )
    if not target.exists() or not stat.S_ISREG(target.stat().st_mode):
        raise RefusedInputError(f"{path} is not a regular file.")


def readable_for(folder: Path) -> tuple[Path, ...]:
    """Where the files of a folder may really lie."""
    # The hub's own cache keeps its files beside the snapshot, linked from it.
    home = folder.resolve()
    cache = home.parent.parent if home.parent.name == "snapshots" else home
    return home, cache / "blobs"


def read_object(path: Path) -> dict[str, object]:
    """A JSON object from a file, with nothing in it that names code.

    Raises:
        RefusedInputError: it names code, is too deep or is a pickle.
        UsageError: it is not a JSON object.
    """
    tree = read_vocabulary(path)
    check_no_code(tree, str(path))
    return tree


def read_vocabulary(path: Path) -> dict[str, object]:
    """A JSON object whose keys may be any words: a vocabulary, or a tokenizer that holds one."""
    data = path.read_bytes()
    if looks_like_pickle(data[:8]):
        raise RefusedInputError(f"{path} holds a pickle or an archive and was not opened.")
    try:
        return msgspec.json.decode(data, type=dict[str, object])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not a JSON object: {error}.") from error
    except RecursionError as error:
        raise RefusedInputError(f"{path} is nested too deeply.") from error


def check_no_code(tree: Mapping[str, object], where: str) -> None:
    """Refuse a config that names code to load or kernels to fetch, at any depth."""
    level: list[tuple[str, object]] = [("", tree)]
    for _ in range(DEPTH_MAX):
        below: list[tuple[str, object]] = []
        for path, node in level:
            if isinstance(node, dict):
                for key, value in node.items():
                    name = f"{path}.{key}" if path else str(key)
                    _check_entry(str(key), value, name, where)
                    below.append((name, value))
            elif isinstance(node, list):
                below += [(f"{path}[{at}]", value) for at, value in enumerate(node)]
        level = below
        if not level:
            return
    raise RefusedInputError(f"{where} is nested deeper than {DEPTH_MAX} levels.")


def _check_entry(key: str, value: object, name: str, where: str) -> None:
    plain = key.strip("_").removesuffix("_internal").casefold()
    if plain in _CODE_KEYS and value not in (None, False, {}, []):
        raise RefusedInputError(
            f"{where}: {name} asks for code from the model's maker to be run. deployopt runs none; "
            "use a model of a class that transformers has, and remove the key."
        )
    if plain in _CHOICE_KEYS and not _safe_choice(value):
        raise RefusedInputError(
            f"{where}: {name} is {value!r}, which can name code to fetch. Remove the key, or set "
            "it to 'eager' or 'sdpa'."
        )
    if plain in _QUANTIZED_KEYS and value not in (None, {}):
        raise RefusedInputError(
            f"{where}: {name} says that the weights are quantized already. Give the float model; "
            "deployopt quantizes it and proves the result."
        )


def _safe_choice(value: object) -> bool:
    if isinstance(value, dict):
        return all(_safe_choice(inner) for inner in value.values())
    return value is None or (isinstance(value, str) and value in _SAFE_CHOICES)
