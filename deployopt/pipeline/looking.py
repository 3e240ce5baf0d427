"""A model's name, or sizes given by hand, becomes its facts: nothing is built, no weight is read.

An alias is answered from the catalogue, without a network; `hub:ORG/NAME` from its config and the
headers of its weights; a folder likewise; a `.gguf` file from its header; an `.onnx` file from its
graph.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from deployopt.catalogue.models import Entry, find_entry
from deployopt.core.architecture import Architecture
from deployopt.core.counts import show_short
from deployopt.core.errors import MissingExtraError, RefusedInputError, UsageError
from deployopt.core.plan import Facts
from deployopt.core.request import ByHand
from deployopt.core.text import safe_text
from deployopt.core.units import Dimension, show_quantity
from deployopt.core.weights import StoredWeights
from deployopt.core.workload import Workload
from deployopt.pipeline.assuming import assumed_shapes
from deployopt.pipeline.drawing import pipeline_shape
from deployopt.pipeline.facts import file_facts
from deployopt.planning.architectures import read_architecture
from deployopt.planning.architectures.ggufs import gguf_architecture
from deployopt.planning.architectures.towers import LABELS as FIXED
from deployopt.planning.architectures.towers import PAIRED
from deployopt.planning.by_hand import hand_architecture
from deployopt.planning.entries import architecture_of
from deployopt.sources.checks import CONFIG_MAX_BYTES, check_regular, read_vocabulary
from deployopt.sources.diffusion_files import INDEX as PIPELINE
from deployopt.sources.gguf_header import SUFFIX as GGUF
from deployopt.sources.gguf_header import GgufFacts, read_gguf_header
from deployopt.sources.headers import pickled_files, pointers, stored_weights
from deployopt.sources.hub_names import PREFIX, HubName, parse_hub_name
from deployopt.sources.naming import is_path, model_path

CONFIG: Final = "config.json"
BY_HAND: Final = "--params 7B --layers 32 --hidden 4096 --heads 32"
_SIZES: Final = (
    ("hidden_size", "d_model", "dim", "n_embd", "hidden_sizes", "embed_dim", "embed_dims"),
    ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers", "depths",
     "block_sizes", "layers_block_type", "layer_types", "num_decoder_layers"),
    ("num_attention_heads", "n_head", "n_heads", "num_heads", "encoder_attention_heads",
     "decoder_attention_heads"),
)  # fmt: skip
"""What the families call their width, depth and heads."""
_ADAPTER: Final = "adapter_config.json"


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """What was found: an architecture, or for a graph its facts."""

    name: str
    architecture: Architecture | None = None
    facts: Facts | None = None
    entry: Entry | None = None
    """Of the catalogue, where the name is an alias."""
    warnings: tuple[str, ...] = ()


def look_up(
    model: str | None,
    by_hand: ByHand | None = None,
    *,
    lock: Path | None = None,
    store: Path | None = None,
    labels: int = 0,
) -> Looked:
    """The model's facts; of an image-text model with so many labels fixed, if any.

    Raises:
        UsageError: no such model, a config that does not say enough, or both a name and sizes.
        SourceError: the hub did not answer, or has no such model.
        RefusedInputError: a file could break a reader.
        MissingExtraError: an `.onnx` file or the hub needs packages that are not installed.
    """
    if model is None:
        if by_hand is None:
            raise UsageError(f"Name a model, or give its sizes by hand: {BY_HAND}.")
        return _by_hand(by_hand)
    if by_hand is not None:
        raise UsageError(
            f"Both a model ({model}) and sizes by hand were given. Leave out the model to work "
            "with the sizes, or --params and the other sizes to work with the model."
        )
    if model.startswith(PREFIX):
        return _from_hub(model, lock, store, labels)
    if not is_path(model):
        return _from_catalogue(model)
    path = model_path(model)
    if path.suffix == GGUF:
        return _from_gguf(model, path)
    return _from_folder(model, path, labels) if path.is_dir() else _from_graph(model, path)


def _by_hand(sizes: ByHand) -> Looked:
    name = f"{show_short(sizes.parameters)} parameters, by hand"
    return Looked(name=name, architecture=hand_architecture(sizes))


def _from_catalogue(name: str) -> Looked:
    entry = find_entry(name)
    return Looked(name=name, architecture=architecture_of(entry), entry=entry)


def _from_folder(name: str, folder: Path, labels: int) -> Looked:
    names = {child.name for child in folder.iterdir()}
    if PIPELINE in names:
        return Looked(name=name, architecture=pipeline_shape(folder))
    if CONFIG not in names:
        raise _no_config(name, names)
    path = folder / CONFIG
    check_regular(path, folder)
    if path.stat().st_size > CONFIG_MAX_BYTES:
        raise RefusedInputError(f"{path} has more than {CONFIG_MAX_BYTES} bytes.")
    config = read_vocabulary(path)
    unfetched = pointers(folder)
    stored = None if unfetched else stored_weights(folder)
    warnings = _about_weights(stored, pickled_files(names), unfetched)
    architecture = _shape(config, stored, labels)
    return Looked(
        name=name,
        architecture=architecture,
        warnings=(*_about_sizes(config, architecture), *warnings),
    )


def _shape(config: Mapping[str, object], stored: StoredWeights | None, labels: int) -> Architecture:
    if not labels:
        return read_architecture(config, stored)
    if config.get("model_type") not in PAIRED:
        raise UsageError(
            "--labels is for image-text models (CLIP, SigLIP), which choose among captions; "
            f"this model is of the type {safe_text(str(config.get('model_type')), 40)!r}. "
            "Leave it out."
        )
    # The headers count the text tower, which is not deployed.
    return read_architecture({**config, FIXED: labels})


def _no_config(name: str, names: set[str]) -> UsageError:
    graphs = sorted(each for each in names if each.endswith(".onnx"))
    if graphs:
        hint = f"It has a graph: name {name.rstrip('/')}/{graphs[0]}."
    elif _ADAPTER in names:
        hint = "It is an adapter: name the model that it was trained on."
    else:
        hint = f"Give the model's folder, or its sizes by hand: {BY_HAND}."
    return UsageError(f"{name} holds no config.json, so nothing tells the model's shape. {hint}")


def _about_weights(
    stored: StoredWeights | None, pickled: tuple[str, ...], unfetched: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """What a person should know where the parameters come from the config alone."""
    if stored is not None:
        return ()
    if unfetched:
        why = f"{', '.join(unfetched[:3])}: a pointer of Git LFS (`git lfs pull` fetches it)"
    elif pickled:
        why = f"the weights are pickles ({', '.join(pickled[:3])}), which are not opened"
    else:
        why = "there are no safetensors files"
    return (f"Parameters are worked out from config.json alone: {why}.",)


def _about_sizes(config: Mapping[str, object], architecture: Architecture) -> tuple[str, ...]:
    """Sizes that the config leaves out, of a model that has layers: its family's stand in."""
    said = set(_all_keys(config))
    missing = [names[0] for names in _SIZES if said.isdisjoint(names)]
    if not missing or not architecture.stacks:
        return ()
    text = f"config.json does not say {', '.join(missing)}: what is usual in its family stands in."
    return (f"{text} Complete the config, or give the sizes by hand: {BY_HAND}.",)


def _all_keys(config: Mapping[str, object]) -> Iterator[str]:
    """Of the config and the configs inside it that are set."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _all_keys(value)
        elif value is not None:
            yield key


def _from_hub(name: str, lock: Path | None, store: Path | None, labels: int) -> Looked:
    # The store and the hub's client are not loaded for what needs neither.
    from deployopt.sources.hub_headers import read_hub_model
    from deployopt.sources.locking import locked_commit, read_lock
    from deployopt.store.store import Store

    wanted = parse_hub_name(name)
    if wanted.kind != "model":
        raise UsageError(f"{wanted.written} is data, not a model. Give it as the data.")
    known = read_lock(lock) if lock is not None and lock.exists() else None
    commit = locked_commit(name, known)
    at = HubName(repository=wanted.repository, revision=commit or wanted.revision)
    with Store(store) as opened:
        found = read_hub_model(at, opened)
    if found.pipeline is not None:
        return Looked(name=name, architecture=pipeline_shape(found.pipeline))
    architecture = _shape(found.config, found.stored, labels)
    return Looked(
        name=name,
        architecture=architecture,
        warnings=(
            *_about_sizes(found.config, architecture),
            *_about_weights(found.stored, found.pickled),
        ),
    )


def _from_gguf(name: str, path: Path) -> Looked:
    header = read_gguf_header(path)
    facts = header.facts
    stored = StoredWeights(
        elements=facts.elements, bytes=facts.weight_bytes, tensors=header.tensors
    )
    shape = gguf_architecture(facts.architecture, header.sizes, stored, facts.main_type)
    return Looked(name=name, architecture=shape, warnings=_about_bits(facts))


def _about_bits(facts: GgufFacts) -> tuple[str, ...]:
    """What a precision means of weights that were rounded before."""
    if not facts.quantized:
        return ()
    size = show_quantity(facts.weight_bytes, Dimension.SIZE)
    said = (
        f"The file holds weights of {facts.bits:.1f} bits on average, most of them in "
        f"{facts.main_type}, {size} in all. `build` turns them into float32 first: a precision "
        "above the file's takes its memory and gives back nothing that the file has lost."
    )
    return (said,)


def _from_graph(name: str, path: Path) -> Looked:
    try:
        from deployopt.graph.describing import describe_onnx
    except ModuleNotFoundError as error:
        raise MissingExtraError("Reading an ONNX model", "build") from error
    shapes, assumed = assumed_shapes(describe_onnx(path).inputs)
    facts = file_facts(path, Workload(), shapes)
    return Looked(name=name, facts=facts, warnings=(assumed,) if assumed else ())
