"""A pipeline in diffusers' form becomes files in the store: from a folder or from the hub.

In: a folder that holds `model_index.json`, or a repository that lists it. Out: the model as it
came, checked. Nothing of it is run.
"""

from pathlib import Path

from deployopt.core.artifact import Artifact, Format
from deployopt.core.bundle import Origin
from deployopt.core.source import SourceModel
from deployopt.sources.adopting import adopt, check_as, file_entries, source_key
from deployopt.sources.diffusion import check_index, complete_pipeline, read_pipeline
from deployopt.sources.diffusion_files import INDEX, list_pipeline, pipeline_files
from deployopt.sources.hub import HubListing, fetch_files
from deployopt.sources.hub_names import HubName
from deployopt.sources.tokenizer_files import tried_before
from deployopt.store.store import Store, StoredObject


def pipeline_from_folder(name: str, path: Path, store: Store) -> SourceModel:
    """Of a local folder; raises as `resolve_model` does."""
    check_index(path)
    entries = file_entries(path, list_pipeline(path), store)
    stored = adopt(path, entries, store, key=source_key("pipeline", entries), check=check_pipeline)
    return _source(name, stored, Origin(asked=name, resolved=f"folder {path.name}", files=entries))


def pipeline_from_hub(name: str, wanted: HubName, listing: HubListing, store: Store) -> SourceModel:
    """Of a repository at a commit; raises as `resolve_model` does."""
    # Its class is known before gigabytes come.
    index = fetch_files(wanted, listing, (INDEX,), store, _nothing).folder
    check_as(index, wanted.written, check_index)
    names = pipeline_files((file.path for file in listing.files), wanted.written)
    stored = fetch_files(wanted, listing, names, store, check_pipeline)
    origin = Origin(
        asked=name,
        resolved=f"{wanted.written}@{listing.commit}",
        licence=listing.licence,
        files=tuple(entry for entry in stored.files if entry.path in names),
    )
    return _source(name, stored, origin)


def check_pipeline(staged: Path) -> None:
    """Complete and read a staging folder; raises where it may not come in."""
    complete_pipeline(staged)
    read_pipeline(staged)


def _nothing(_staged: Path) -> None:
    """What is read from it alone is data."""


def _source(name: str, stored: StoredObject, origin: Origin) -> SourceModel:
    facts = read_pipeline(stored.folder, tried_before)
    artifact = Artifact(
        format=Format.DIFFUSERS,
        folder=stored.folder,
        entry=INDEX,
        digest=stored.digest,
        precision=facts.precision,
        notes=facts.notes,
    )
    return SourceModel(name=name, artifact=artifact, interface=facts.interface, origin=origin)
