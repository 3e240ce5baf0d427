"""A cell on a node that has no folder in common with the driver: its files go through a share.

In: on the node a cell as the driver asked for it; on the driver a result and the files that it
lists. Out: the cell with folders of the node's own; or the bundle in the driver's output folder,
every byte compared with the digests that came with the result. Refuses, as a sentence, a share that
a node does not reach, files that are not there, and bundles that are not what was listed.
"""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.bundle import FileEntry
from deployopt.core.errors import DeployoptError, IntegrityError, StorageError
from deployopt.core.matrix import CellName, CellRequest, CellResult, Word, failed
from deployopt.pipeline.matrix.digests import Inputs
from deployopt.pipeline.matrix.ray_inputs import bring_inputs
from deployopt.pipeline.matrix.ray_words import Job
from deployopt.store.digests import folder_entries
from deployopt.store.faults import storage_errors
from deployopt.store.publishing import publish_bundle
from deployopt.store.share_files import AlteredError, bring_files, send_files
from deployopt.store.share_place import open_place
from deployopt.store.share_sweeping import CHECKS
from deployopt.store.staging import staged_folder
from deployopt.store.store import Store
from deployopt.store.verifying import verify_bundle
from deployopt.store.writing import atomic_write_bytes

_NONCE_MAX: Final = 256
_INPUTS: Final = Inputs()
"""A worker of Ray's runs many cells."""


@contextmanager
def check_in_share(url: str) -> Iterator[dict[str, str]]:
    """A file of the driver's there, by which nodes find out that theirs is the same place."""
    place = open_place(url)
    name, nonce = f"{CHECKS}/{secrets.token_hex(16)}", secrets.token_hex(32)
    place.put(name, nonce.encode())
    try:
        yield {name: nonce}
    finally:
        with suppress(StorageError):  # it is lost: what ended the call says so
            place.remove(name)


def seen_in_share(url: str, name: str, *, answers: bool = False) -> str:
    """What stands in the driver's file there; with `answers`, whether one can write beside it.

    Raises:
        DeployoptError: the share cannot be reached from here, or not written.
    """
    place = open_place(url)
    try:
        found = place.read(name, _NONCE_MAX)
    except ValueError as error:
        raise IntegrityError(f"{name} in {place.shown}: {error}") from error
    if found is None:
        raise IntegrityError(f"{place.shown} is another place there: {name} is not in it")
    if answers:
        answer = f"{name}-{secrets.token_hex(8)}"
        place.put(answer, b"seen")
        place.remove(answer)
    return found.decode("ascii", "replace")


@contextmanager
def own_folders(job: Job, leases: Path) -> Iterator[CellRequest]:
    """The cell with this node's store, a folder for its bundle, and its inputs at hand.

    `leases` is where the cells of all stores meet on this machine. The folder is gone afterwards;
    what was brought stays in the store.
    """
    if job.share is None:
        yield job.cell
        return
    with Store() as store, store.stage() as folder:
        found = _INPUTS.of(job.cell)
        places = bring_inputs(job.share, found, job.inputs, job.files, store)
        yield msgspec.structs.replace(
            job.cell,
            store=str(store.layout.root),
            output=str(folder / job.cell.name.id),
            leases=str(leases),
            places=places,
        )


def send_result(share: str, cell: CellRequest, result: CellResult) -> tuple[FileEntry, ...]:
    """Put the bundle or the page into the share; what the driver is to bring.

    Raises:
        DeployoptError: it cannot be written there.
    """
    folder = Path(cell.output).parent
    if result.error is not None or not _named(cell.name, result):
        return ()
    with storage_errors("reading the bundle", folder):
        entries = folder_entries(folder)
    send_files(open_place(share), folder, entries)
    return entries


def bring_result(
    share: str, cell: CellRequest, result: CellResult, files: Sequence[FileEntry]
) -> CellResult | str:
    """The result once what it names lies in the output folder; a sentence if the share is lost.

    What is brought is compared with the listing, the bundle with its manifest: what was altered is
    the cell's failure. Whether it is the result's is judged afterwards, by what lies there.
    """
    names = _named(cell.name, result)
    if result.error is not None or not names:
        return result
    output = Path(cell.output).parent
    try:
        _require_named(names, files)
        with storage_errors("bringing a bundle", output), staged_folder(output) as folder:
            bring_files(open_place(share), files, folder)
            _publish(folder, names, output)
    except (AlteredError, IntegrityError) as error:
        reason = f"What the node put into the share for {cell.name.id} was refused: {error}"
        return failed(cell, IntegrityError(f"{reason.rstrip('.')}. Build the cell again."))
    except DeployoptError as error:
        return f"what it put into the share cannot be brought: {error}"
    return result


def _require_named(names: Sequence[str], files: Sequence[FileEntry]) -> None:
    if {entry.path.partition("/")[0] for entry in files} != set(names):
        raise AlteredError(["it lists other files than its result names"])


def _publish(folder: Path, names: Sequence[str], output: Path) -> None:
    for name in names:
        if not (folder / name).is_dir():
            atomic_write_bytes(output / name, (folder / name).read_bytes())
            continue
        manifest = verify_bundle(folder / name)
        sources = {entry.path: folder / name / entry.path for entry in manifest.files}
        publish_bundle(sources, manifest, output / name)


def _named(cell: CellName, result: CellResult) -> list[str]:
    """Of what the result names, what may lie in the output folder."""
    folders = [cell.id, *(f"{cell.id}.{word.value}" for word in Word)]
    pages = [f"{folder}.html" for folder in folders]
    bundle = [] if result.bundle not in folders else [str(result.bundle)]
    return bundle + ([] if result.page not in pages else [str(result.page)])
