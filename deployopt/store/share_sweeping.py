"""Old entries of a share removed: records that were written long ago, and files that none lists.

In: a place, the time now, an age. Out: how much went. Records go first, so that none is left
without its files; a file that no record lists stays for a day, for its record may be on the way.
Builds that use the share meanwhile lose nothing: what is gone counts as not there, and is put there
again by the next one that makes or has it.
"""

import re
from collections.abc import Callable
from typing import Final

import msgspec

from deployopt.store.share import KEYS, listed_files
from deployopt.store.share_files import FILES
from deployopt.store.share_place import INCOMING, Place

DAY_S: Final = 86_400.0
_GRACE_S: Final = DAY_S
"""Younger than this is what may be part of an upload."""
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_PART: Final = re.compile(r"[0-9a-f]{32}")
_CHECK: Final = re.compile(r"[0-9a-f]{32}(-[0-9a-f]{16})?")
CHECKS: Final = "checks"


class Swept(msgspec.Struct, frozen=True, kw_only=True):
    """What was removed, or would be, in counts and bytes."""

    share: str
    records: int = 0
    files: int = 0
    parts: int = 0
    """Of uploads that broke off, and files by which a cluster's nodes found the share."""
    freed_bytes: int = 0
    kept: int = 0
    """Records that stay."""
    dry_run: bool = False


class _Sweep:
    """One pass: what went, in bytes."""

    def __init__(self, place: Place, now_s: float, *, dry_run: bool) -> None:
        self._place = place
        self._now_s = now_s
        self._dry_run = dry_run
        self.freed_bytes = 0

    def remove(
        self, folder: str, names: re.Pattern[str], goes: Callable[[str, float], bool]
    ) -> int:
        """All in the folder that have such a name and go, given their name and age; how many."""
        count = 0
        for one in self._place.listed(folder):
            if not names.fullmatch(one.name) or not goes(one.name, self._now_s - one.modified_s):
                continue
            if not self._dry_run:
                self._place.remove(f"{folder}/{one.name}")
            self.freed_bytes += one.size_bytes
            count += 1
        return count


def sweep(place: Place, *, now_s: float, older_s: float, dry_run: bool = False) -> Swept:
    """Remove what is older.

    Raises:
        ShareError: the share cannot be read or written, or does not tell how old things are.
    """
    sweeping = _Sweep(place, now_s, dry_run=dry_run)
    kept: set[str] = set()
    staying: set[str] = set()

    def old(key: str, age_s: float) -> bool:
        if age_s > older_s:
            return True
        kept.add(key)
        staying.update(listed_files(place, key))
        return False

    records = sweeping.remove(KEYS, _DIGEST, old)
    files = sweeping.remove(
        FILES, _DIGEST, lambda name, age_s: name not in staying and age_s > _GRACE_S
    )
    parts = sum(
        sweeping.remove(folder, names, lambda _, age_s: age_s > _GRACE_S)
        for folder, names in ((INCOMING, _PART), (CHECKS, _CHECK))
    )
    return Swept(
        share=place.shown,
        records=records,
        files=files,
        parts=parts,
        freed_bytes=sweeping.freed_bytes,
        kept=len(kept),
        dry_run=dry_run,
    )
