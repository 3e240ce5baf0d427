"""A finished model folder goes where the user asked for it: all of it at once, or nothing.

It is copied beside its destination, brought to the disk, and renamed. A folder that an earlier run
wrote there, known by the record that lies in it, changes places with it; anything else is left as
it is.
"""

from pathlib import Path
from typing import Final

from deployopt.core.bundle import FileEntry
from deployopt.core.errors import UsageError
from deployopt.store.exchanging import exchange
from deployopt.store.faults import require_space, storage_errors
from deployopt.store.staging import remove_tree, staged_folder, sweep, unique_name
from deployopt.store.writing import copy_new_file, make_folders, sync_folder

RECORD: Final = "training.json"
"""How a model came about; by it a folder is known as one of ours."""
BESIDE: Final = (
    "chat_template.jinja",
    "generation_config.json",
    "merges.txt",
    "preprocessor_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
)
"""What turns examples into a model's inputs: it goes along wherever the weights go."""


def check_model_destination(destination: Path) -> None:
    """Raise UsageError unless nothing, an empty folder, or a model trained here is there."""
    if destination.is_symlink():
        raise UsageError(f"{destination} is a link. Name the folder itself for the model.")
    if not destination.exists():
        return
    if not destination.is_dir():
        raise UsageError(f"{destination} is a file. Name a new folder for the model.")
    if any(destination.iterdir()) and not (destination / RECORD).is_file():
        raise UsageError(
            f"{destination} holds files that deployopt did not write, and they are left as they "
            "are. Name a new or empty folder for the model."
        )


def publish_model(source: Path, entries: tuple[FileEntry, ...], destination: Path) -> None:
    """Put copies of the files of `source` at `destination`.

    Raises:
        UsageError: something else is at the destination.
        StorageError: the disk failed; the destination is as it was.
    """
    destination = destination.absolute()
    with storage_errors("publishing the model", destination):
        check_model_destination(destination)
        make_folders(destination.parent)
        sweep(destination.parent)
        total = sum(entry.size_bytes for entry in entries)
        require_space(destination.parent, total, "The model")
        with staged_folder(destination.parent) as staging:
            folder = staging / destination.name
            folder.mkdir(mode=0o755)
            for entry in entries:
                copy_new_file(source / entry.path, folder / entry.path)
            sync_folder(folder)
            _put_in_place(folder, destination)


def _put_in_place(folder: Path, destination: Path) -> None:
    previous = None
    if not (destination / RECORD).exists():
        folder.rename(destination)  # over nothing or an empty folder; anything else makes it fail
    elif not exchange(folder, destination):
        previous = destination.with_name(f"{destination.name}.previous-{unique_name()}")
        destination.rename(previous)
        folder.rename(destination)
    sync_folder(destination.parent)
    if previous is not None:
        remove_tree(previous)
