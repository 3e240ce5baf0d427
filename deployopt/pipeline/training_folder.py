"""The folder that training leaves: an ordinary model folder, with a record of how it came about.

In: the trained weights, the base's tokenizer or preprocessor, the record. Out: the files in a
staging folder, read as `build` will read them, and their digest.
"""

from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.bundle import FileEntry
from deployopt.core.codec import encode_pretty
from deployopt.core.examples import Examples
from deployopt.core.interface import Interface
from deployopt.core.training import TrainingOptions
from deployopt.core.training_result import HeldDialogues, HeldOut
from deployopt.sources.checks import ADAPTER
from deployopt.sources.folder import ENTRY, read_folder
from deployopt.store.digests import folder_entries
from deployopt.store.model_folders import BESIDE, RECORD
from deployopt.store.writing import copy_new_file, write_new_file

HELD_OUT_FILE: Final = "held-out.jsonl"
_WEIGHTS: Final = "model.safetensors"


class TrainingRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`training.json`: what was trained on what; no times and no places: it is repeatable."""

    format: int = 1
    base: str
    base_digest: str
    options: TrainingOptions
    labels: tuple[str, ...]
    examples: dict[str, int]
    data_sha256: dict[str, str]
    best_epoch: float
    held_out: HeldOut | None = None
    held_dialogues: HeldDialogues | None = None
    tools: dict[str, str]
    processes: int


def gather_model(trained: Path, base: Path, folder: Path) -> Interface:
    """Weights, config, and what turns examples into inputs; the interface as `build` will see it.

    Raises:
        UsageError: what was written is no model folder, which would be a fault of deployopt's.
    """
    copy_new_file(trained / ENTRY, folder / ENTRY)
    for path in sorted(trained.glob("model*.safetensors*")):
        copy_new_file(path, folder / path.name)
    for name in BESIDE:
        if (base / name).exists():
            copy_new_file(base / name, folder / name)
    return read_folder(folder).interface


def gather_adapter(trained: Path, base: Path, folder: Path) -> None:
    """The adapter's files, and what turns examples into inputs; the base stays where it is."""
    for name in (ADAPTER, "adapter_model.safetensors"):
        copy_new_file(trained / name, folder / name)
    for name in BESIDE:
        if (base / name).exists():
            copy_new_file(base / name, folder / name)


def finish_folder(folder: Path, record: TrainingRecord, held_out: bytes | None) -> None:
    """The record, and the texts to judge a build with."""
    if held_out is not None:
        write_new_file(folder / HELD_OUT_FILE, held_out)
    write_new_file(folder / RECORD, encode_pretty(record))


def weights_sha256(entries: tuple[FileEntry, ...]) -> str:
    """Of the weights' file, or of the first of several."""
    named = {entry.path: entry.sha256 for entry in entries}
    shards = sorted(name for name in named if name.endswith(".safetensors"))
    return named.get(_WEIGHTS) or named[shards[0]]


def entries_of(folder: Path) -> tuple[FileEntry, ...]:
    """Every file with its sha256."""
    return folder_entries(folder)


def readable(examples: Examples, labels: tuple[str, ...]) -> bytes:
    """JSON lines with the labels by name, as data files are read."""
    classes = examples.labels or ()
    lines = [
        msgspec.json.encode({"text": text, "label": labels[at]})
        for text, at in zip(examples.inputs, classes, strict=True)
    ]
    return b"\n".join(lines) + b"\n"
