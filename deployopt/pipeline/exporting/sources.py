"""What is exported: a language model by its name, or the one that a bundle was built of.

In: a request. Out: its shape, and a folder with its files or its place on the hub. Of a bundle that
is the model as it came, which the store may still have. Refuses a bundle of another kind, one whose
bytes or signature do not hold, and a model that does not go on with texts.
"""

import re
from pathlib import Path
from typing import Final

import msgspec

from deployopt.catalogue.models import DEMO_CHAT
from deployopt.core.architecture import Architecture
from deployopt.core.bundle import Origin
from deployopt.core.errors import UsageError
from deployopt.core.exporting import ExportRequest
from deployopt.core.text import safe_text
from deployopt.device.bundle_reader import OpenBundle, open_bundle
from deployopt.pipeline.looking import look_up
from deployopt.signing.authenticate import Policy, authenticate
from deployopt.sources.adopting import source_key
from deployopt.sources.checks import read_object
from deployopt.sources.gguf import gguf_key
from deployopt.sources.gguf_header import SUFFIX as GGUF
from deployopt.sources.hub import hub_key, list_repository
from deployopt.sources.hub_names import PREFIX, HubName, parse_hub_name
from deployopt.sources.locking import Lock, locked_commit, read_lock
from deployopt.sources.models import resolve_model
from deployopt.sources.naming import is_path
from deployopt.store.staging import scratch_folder
from deployopt.store.store import Store
from deployopt.store.verifying import is_bundle

CONFIG: Final = "config.json"
_PINNED: Final = re.compile(r"hub:(?P<name>[^@]+)@(?P<commit>[0-9a-f]{40})")


class Hub(msgspec.Struct, frozen=True, kw_only=True):
    """Where another program fetches a model by itself; None: whatever is there on the day."""

    repository: str
    revision: str | None


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A language model's shape, and either its folder or its place on the hub."""

    name: str
    architecture: Architecture
    folder: Path | None = None
    hub: Hub | None = None
    warnings: tuple[str, ...] = ()


def find_source(request: ExportRequest, store: Store, *, fetch: bool) -> Found:
    """The model; with `fetch` its files too where it is on the hub.

    Raises:
        UsageError: no such model, no language model, or a bundle whose weights are gone.
        IntegrityError: a bundle is not the one that was built, or the key does not vouch for it.
        SourceError, RefusedInputError, MissingExtraError: as `build`.
    """
    name = request.source
    path = is_local(name)
    if path and Path(name).is_dir() and is_bundle(Path(name)):
        return _of_bundle(request, store)
    if request.key is not None:
        raise UsageError(f"--key is for a bundle, and {name} is none. Leave it out.")
    lock = read_lock(request.lock) if request.lock is not None and request.lock.exists() else None
    if not fetch and not path and name != DEMO_CHAT:
        return _on_hub(request, store, lock)
    looked = look_up(name, lock=request.lock, store=request.store)
    _require_speaking(name, looked.architecture)
    source = resolve_model(name, store=store, lock=lock)
    return in_folder(name, source.artifact.folder, (*looked.warnings, *source.artifact.notes))


def in_folder(name: str, folder: Path, warnings: tuple[str, ...] = ()) -> Found:
    """A language model's folder; raises UsageError where it holds another model."""
    architecture = _require_speaking(name, look_up(f"{folder}/").architecture)
    told = tuple(dict.fromkeys(warnings))
    return Found(name=name, architecture=architecture, folder=folder, warnings=told)


def is_local(name: str) -> bool:
    """Whether a file or folder of the person's is meant."""
    return is_path(name) and not name.startswith(PREFIX)


def model_class(folder: Path) -> str:
    """As the folder's config names it."""
    names = read_object(folder / CONFIG).get("architectures")
    return safe_text(str(names[0]), 80) if isinstance(names, list) and names else "unnamed"


def _on_hub(request: ExportRequest, store: Store, lock: Lock | None) -> Found:
    looked = look_up(request.source, lock=request.lock, store=request.store)
    architecture = _require_speaking(looked.name, looked.architecture)
    warnings = looked.warnings
    if looked.entry is not None:
        hub = Hub(repository=looked.entry.repository or "", revision=looked.entry.revision)
        loose = (
            f"{hub.repository} is not pinned to a revision: nobody was asked. Name "
            f"{PREFIX}{hub.repository} to pin it to what the hub holds now."
        )
        warnings = (*warnings, *(() if hub.revision else (loose,)))
    else:
        wanted = parse_hub_name(request.source)
        commit = locked_commit(request.source, lock) or wanted.revision
        at = HubName(repository=wanted.repository, revision=commit)
        hub = Hub(repository=wanted.repository, revision=list_repository(at, store).commit)
    return Found(name=looked.name, architecture=architecture, hub=hub, warnings=warnings)


def _of_bundle(request: ExportRequest, store: Store) -> Found:
    bundle = open_bundle(Path(request.source))
    if request.key is not None:
        policy = Policy(key=request.key, store=request.store)
        authenticate(bundle.folder, bundle.manifest, policy, scratch_folder())
    if not bundle.manifest.interface.generates:
        raise UsageError(
            f"{request.source} holds a model for {bundle.manifest.interface.task.value}. "
            f"`export --as {request.form}` takes language models; --as triton and --as docker take "
            "this one."
        )
    origin = bundle.lineage().model
    stored = next((found for key in _keys(origin) if (found := store.lookup(key))), None)
    if stored is None:
        raise UsageError(
            f"{request.source} was built of {safe_text(origin.asked, 80)}, whose own weights the "
            "store does not have any more; the bundle's are for onnxruntime-genai alone. Name the "
            f"model itself: deployopt export {safe_text(origin.asked, 80)} {request.output} --as "
            f"{request.form}."
        )
    return in_folder(_name_of(bundle), stored.folder)


def _keys(origin: Origin) -> tuple[str, ...]:
    """Under which the store keeps a model of this origin, whatever way it came."""
    files = origin.files
    if len(files) == 1 and (files[0].path.endswith(GGUF) or origin.asked == DEMO_CHAT):
        return (gguf_key(files[0]),)
    keys = [source_key("folder", files)]
    pinned = _PINNED.fullmatch(origin.resolved)
    if pinned is not None:
        at = HubName(repository=pinned["name"], revision=pinned["commit"])
        keys.append(hub_key(at, pinned["commit"], tuple(entry.path for entry in files)))
    return tuple(keys)


def _name_of(bundle: OpenBundle) -> str:
    return safe_text(bundle.lineage().model.asked, 80)


def _require_speaking(name: str, architecture: Architecture | None) -> Architecture:
    """A causal language model's shape; raises UsageError of any other."""
    if architecture is not None:
        stacks = architecture.stacks
        if len(stacks) == 1 and stacks[0].causal and not architecture.labels:
            return architecture
    raise UsageError(
        f"{name} is no language model that goes on with a text, and this form is for those alone. "
        "`build` makes a bundle of a classifier."
    )
