"""A base model's name becomes files to fine-tune: a classifier, what may become one, or a decoder.

In: `demo-sentiment` (its public base weights, without what was trained on them), an alias, the hub,
or a folder; a language model as `build` takes it. Out: a copy in the store, checked as `models`
checks, but a classification head may be missing.
Nothing of the model is run, and no other model is put in place of one that cannot be had.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from deployopt.catalogue.models import DEMO, DEMO_CHAT, find_entry
from deployopt.core.errors import SourceError, UsageError
from deployopt.core.interface import ImageInputs, PromptInputs, Task, TextInputs
from deployopt.sources.adopting import adopt, file_entries, source_key
from deployopt.sources.checks import list_model_folder, read_object, wanted_files
from deployopt.sources.decoders import SUFFIX as DECODER_SUFFIX
from deployopt.sources.decoders import prompt_inputs
from deployopt.sources.demo import WEIGHTS, fetch_demo_weights
from deployopt.sources.demo_weights import assemble_encoder
from deployopt.sources.folder import (
    ENTRY,
    IMAGE_SUFFIX,
    INPUT_NAMES,
    TEXT_SUFFIX,
    config_labels,
    folder_tensors,
    image_inputs,
    model_type,
    read_folder,
    text_inputs,
)
from deployopt.sources.gguf_header import SUFFIX as GGUF
from deployopt.sources.hub import fetch_files, list_repository
from deployopt.sources.hub_names import PREFIX, HubName, parse_hub_name
from deployopt.sources.models import resolve_model
from deployopt.sources.naming import is_path, model_path
from deployopt.sources.tokenizer_files import tried_before, write_tokenizer
from deployopt.store.keys import cache_key
from deployopt.store.store import Store, StoredObject

_VERSION: Final = 1


class TrainingBase(msgspec.Struct, frozen=True, kw_only=True):
    """What training starts from; `labels` is None where there is no classification head."""

    name: str
    resolved: str
    folder: Path
    digest: str
    task: Task
    inputs: TextInputs | ImageInputs | PromptInputs
    labels: tuple[str, ...] | None
    resample: int | None = None
    """The filter's number in Pillow, for an image model."""
    notes: tuple[str, ...] = ()


def resolve_base(name: str, store: Store) -> TrainingBase:
    """The base as files.

    Raises:
        UsageError: no such model, or of a kind that is not fine-tuned here.
        SourceError: it could not be fetched.
        RefusedInputError: it could run code or break a reader.
        IntegrityError: its bytes are not the ones that were pinned.
        MissingExtraError: the packages for building are not installed.
    """
    if name.startswith(PREFIX):
        return _from_hub(name, parse_hub_name(name), store)
    if is_path(name):
        path = model_path(name)
        gguf = path.suffix == GGUF and path.is_file()
        return _decoder(name, store) if gguf else _from_path(name, path, store)
    entry = find_entry(name)
    if entry.alias == DEMO_CHAT:
        return _decoder(name, store)
    if entry.alias == DEMO:
        return _demo(store)
    if entry.repository is None:
        raise UsageError(
            f"{entry.alias} is not published as a folder in Hugging Face form, which is what "
            "training starts from. Give the folder of one, or another model."
        )
    wanted = HubName(repository=entry.repository, revision=entry.revision)
    try:
        return _from_hub(name, wanted, store)
    except SourceError as error:
        raise SourceError(f"Model {name!r}: {error}") from error


def _demo(store: Store) -> TrainingBase:
    key = cache_key({"source": f"{DEMO} base", "version": _VERSION, "base": WEIGHTS.sha256})
    stored = store.lookup(key)
    if stored is None:
        with store.stage() as fetched, store.stage() as staged:
            assemble_encoder(fetch_demo_weights(fetched), staged)
            _check(staged)
            stored = store.commit(staged, key)
    note = f"Training starts from the base weights of {DEMO}, without its shipped adapter and head."
    return _base(DEMO, f"{WEIGHTS.name}=={WEIGHTS.version}", stored, (note,))


def _decoder(name: str, store: Store) -> TrainingBase:
    """A language model whose weights are converted first."""
    source = resolve_model(name, store=store)
    return TrainingBase(
        name=name,
        resolved=source.origin.resolved,
        folder=source.artifact.folder,
        digest=source.artifact.digest,
        task=source.interface.task,
        inputs=_prompts(source.interface.inputs),
        labels=None,
        notes=source.artifact.notes,
    )


def _prompts(inputs: object) -> PromptInputs:
    if not isinstance(inputs, PromptInputs):
        raise UsageError("A .gguf file holds a language model; this one holds something else.")
    return inputs


def _from_path(name: str, path: Path, store: Store) -> TrainingBase:
    if not path.is_dir():
        raise UsageError(
            f"{name} is a file. Fine-tuning starts from a folder in Hugging Face form: "
            "config.json, model.safetensors, and a tokenizer or preprocessor."
        )
    entries = file_entries(path, list_model_folder(path), store)
    stored = adopt(path, entries, store, key=source_key("training base", entries), check=_check)
    return _base(name, f"folder {path.name}", stored)


def _from_hub(name: str, wanted: HubName, store: Store) -> TrainingBase:
    if wanted.kind != "model":
        raise UsageError(f"{wanted.written} is data, not a model. Give it as the data.")
    listing = list_repository(wanted, store)
    names = wanted_files((file.path for file in listing.files), wanted.written)
    stored = fetch_files(wanted, listing, names, store, _check)
    return _base(name, f"{wanted.written}@{listing.commit}", stored)


def _check(staged: Path) -> None:
    config = read_object(staged / ENTRY)
    task, _ = _task(config, staged)
    if task is not Task.IMAGE_CLASSIFICATION:
        write_tokenizer(staged, model_type(config))
    if task is Task.TEXT_GENERATION:
        read_folder(staged)
    folder_tensors(staged, list_model_folder(staged))


def _base(
    name: str, resolved: str, stored: StoredObject, notes: tuple[str, ...] = ()
) -> TrainingBase:
    folder = stored.folder
    config = read_object(folder / ENTRY)
    task, headed = _task(config, folder)
    inputs: TextInputs | ImageInputs | PromptInputs
    resample = None
    if task is Task.TEXT_GENERATION:
        inputs = prompt_inputs(folder, config, tried_before)
    elif task is Task.TEXT_CLASSIFICATION:
        inputs = text_inputs(folder, config)
    else:
        inputs, resample = image_inputs(folder, list_model_folder(folder))
    return TrainingBase(
        name=name,
        resolved=resolved,
        folder=folder,
        digest=stored.digest,
        task=task,
        inputs=inputs,
        labels=config_labels(config, str(folder / ENTRY)) if headed else None,
        resample=resample,
        notes=notes,
    )


def _task(config: Mapping[str, object], folder: Path) -> tuple[Task, bool]:
    """What it can be trained for, and whether it has a head for that."""
    classes = config.get("architectures")
    names = [str(name) for name in classes] if isinstance(classes, list) else []
    kind = model_type(config)
    if any(name.endswith(DECODER_SUFFIX) for name in names):
        return Task.TEXT_GENERATION, False
    if any(name.endswith(IMAGE_SUFFIX) for name in names):
        return Task.IMAGE_CLASSIFICATION, True
    if kind in INPUT_NAMES:
        headed = any(name.endswith(TEXT_SUFFIX) for name in names)
        return Task.TEXT_CLASSIFICATION, headed
    if (folder / "preprocessor_config.json").exists():
        return Task.IMAGE_CLASSIFICATION, False
    raise UsageError(
        f"{folder / ENTRY} is of the type {kind!r}: neither a text encoder that is read "
        f"({', '.join(INPUT_NAMES)}), nor a language model (…{DECODER_SUFFIX}), nor an image model "
        "with a preprocessor_config.json."
    )
