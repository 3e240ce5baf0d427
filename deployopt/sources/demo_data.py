"""The rated movie snippets as three splits, the ones that training was kept away from."""

from pathlib import Path
from typing import Final

from deployopt.catalogue.models import DEMO
from deployopt.core.bundle import Origin
from deployopt.core.measurement import Split
from deployopt.core.source import SourceModel
from deployopt.sources.demo import DATA, LABELS, demo_splits, fetch_demo_data, read_demo_data
from deployopt.sources.demo_card import check_splits, read_card
from deployopt.sources.labels import match_labels
from deployopt.sources.parts import Found, Parts, Request, pick
from deployopt.store.keys import cache_key
from deployopt.store.store import Store, StoredObject
from deployopt.store.writing import copy_new_file

_VERSION: Final = 1


def find_demo(request: Request) -> Found:
    """The pinned archive, in the store, and its texts."""
    stored = stored_archive(request.store)
    archive = stored.folder / DATA.file_name
    return Found(
        name=DEMO, origin=archive_origin(stored), read=lambda: _read(archive, request.model)
    )


def stored_archive(store: Store, wanted_by: str = DEMO) -> StoredObject:
    """The archive, fetched unless the store has it; `wanted_by` is the alias that needs it."""
    key = cache_key({"source": f"{DEMO} data", "version": _VERSION, "sha256": DATA.sha256})
    stored = store.lookup(key)
    if stored is None:
        with store.stage() as fetched, store.stage() as staged:
            archive = fetch_demo_data(fetched, wanted_by)
            copy_new_file(archive, staged / DATA.file_name)
            stored = store.commit(staged, key)
    return stored


def archive_origin(stored: StoredObject) -> Origin:
    """Where it is from."""
    return Origin(
        # Not the name alone: in a lock file the model has that.
        asked=f"{DEMO} data",
        resolved=f"{DATA.name}=={DATA.version}, movie snippets",
        licence=DATA.licence,
        files=stored.files,
    )


def _read(archive: Path, model: SourceModel) -> Parts:
    rated = read_demo_data(archive)
    splits = demo_splits(rated)
    check_splits(splits, read_card())
    names = [LABELS[text.label] for text in rated]
    classes = match_labels(names, model.interface.labels, where=DEMO).classes
    texts = [text.text for text in rated]
    return Parts(
        splits={split: pick(texts, classes, splits.indices[split.value]) for split in Split}
    )
