"""Experiences in the store: the newest are kept, what cannot be read is skipped.

In: experiences of a build or a verification; a store's folder. Out: those that are there. They are
worth having and never worth failing for: a full or read-only store gives a sentence to show.
"""

from pathlib import Path
from typing import Final

from deployopt.core.codec import decode_json, encode_json
from deployopt.core.errors import IntegrityError, StorageError
from deployopt.core.experience import Experience
from deployopt.store.keys import cache_key
from deployopt.store.store import Store

KIND: Final = "experience"
KEPT: Final = 2000
"""More would take a moment to read and teach nothing new."""


def keep_experiences(experiences: tuple[Experience, ...], root: Path | None = None) -> str | None:
    """Put them into the store at `root`, the user's own by default; why not, or None.

    The same metric of the same artifact, measured again, replaces what was there.
    """
    if not experiences:
        return None
    try:
        with Store(root) as store:
            for experience in experiences:
                store.put_record(KIND, _key(experience), encode_json(experience))
            store.trim_records(KIND, KEPT)
    except StorageError as error:
        return f"What was measured was not kept for later predictions: {error}"
    return None


def read_experiences(root: Path | None = None) -> tuple[Experience, ...]:
    """All that can be read, the newest first; none where the store cannot be read."""
    found: list[Experience] = []
    try:
        with Store(root) as store:
            for payload in store.records(KIND, KEPT):
                try:
                    found.append(decode_json(payload, Experience, where=KIND))
                except IntegrityError:
                    continue  # another version's
    except StorageError:
        return ()
    return tuple(e for e in found if e.version == 1 and e.usable)


def _key(experience: Experience) -> str:
    return cache_key(
        {
            "experience": experience.version,
            "target": experience.target,
            "machine": experience.machine,
            "model": experience.model,
            "artifact": experience.artifact,
            "runtime": experience.runtime,
            "precision": experience.precision.value,
            "metric": experience.metric,
        }
    )
