"""A bundle's `signature/` folder: put there whole, in one step, or not at all.

In: a bundle, and who fills the folder. Out: the folder in its place, what was there before gone.
Nothing else of the bundle is written. A kill leaves the old one, or none, never a part of one.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from deployopt.store.exchanging import exchange
from deployopt.store.faults import storage_errors
from deployopt.store.paths import SIGNATURE
from deployopt.store.staging import staged_folder, sweep
from deployopt.store.writing import sync_folder, write_new_file

Fill = Callable[[Path], Mapping[str, bytes]]
"""Given a folder for scratch files, gives the files' names and bytes."""


def put_signature(bundle: Path, fill: Fill) -> Path:
    """Replace `BUNDLE/signature` by what `fill` gives.

    It is staged beside the bundle, never in it: what a killed run leaves would look like tampering.

    Raises:
        StorageError: the disk failed, or the bundle or its parent cannot be written to; the old
            signature stands whole, or the new one does.
    """
    bundle = bundle.absolute()
    place = bundle / SIGNATURE
    with storage_errors("signing the bundle", bundle):
        sweep(bundle.parent)
        with staged_folder(bundle.parent) as staging:
            scratch, made, old = staging / "scratch", staging / SIGNATURE, staging / "old"
            for folder in (scratch, made):
                folder.mkdir(mode=0o755)
            for name, data in fill(scratch).items():
                write_new_file(made / name, data)
            sync_folder(made)
            if not place.exists():
                made.rename(place)
            elif not exchange(made, place):
                place.rename(old)
                made.rename(place)
            sync_folder(bundle)
    return place
