"""An image-text model with fixed labels is a classifier of images: the model as it came, and ids.

In: a CLIP or SigLIP model in the store, and a file of labels (captions.py). Out: the same with its
captions as token ids beside it (core/zero_shot.py), which is all that remains of the text side:
whoever opens the folder (modeling/zero_shot.py) needs no tokenizer. Refuses a caption that
is longer than the text tower reads, two that are the same to it, and labels for another model.
"""

from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.bundle import FileEntry
from deployopt.core.codec import to_plain
from deployopt.core.errors import UsageError
from deployopt.core.interface import PairInputs, TextInputs
from deployopt.core.source import SourceModel
from deployopt.core.text import safe_text
from deployopt.core.zero_shot import FILE, Padding, ZeroShot, encode_zero_shot
from deployopt.sources.adopting import file_entries
from deployopt.sources.caption_ids import CaptionIds
from deployopt.sources.captions import Captions, read_captions
from deployopt.sources.folder import read_folder
from deployopt.sources.tokenizer_files import tried_before
from deployopt.store.keys import cache_key
from deployopt.store.store import Store, StoredObject
from deployopt.store.writing import copy_new_file, write_new_file

_VERSION: Final = 1
_SHOWN: Final = 60


def with_labels(source: SourceModel, path: Path, store: Store) -> SourceModel:
    """The classifier of images that the model is once its labels are fixed.

    Raises:
        UsageError: the model is no image-text model, or the labels cannot be read by it.
    """
    inputs = source.interface.inputs
    if not isinstance(inputs, PairInputs):
        raise UsageError(
            "--labels is for image-text models (CLIP, SigLIP), which choose among captions; "
            f"{source.name} has labels of its own, or none. Leave it out."
        )
    fixed = encoded(read_captions(path), source.artifact.folder, inputs.text)
    key = cache_key(
        {
            "source": "zero-shot",
            "version": _VERSION,
            "model": source.artifact.digest,
            "fixed": to_plain(fixed),
        }
    )
    stored = store.lookup(key)
    if stored is None:
        stored = _adopted(source, fixed, store, key)
    facts = read_folder(stored.folder, tried_before)
    (labels,) = file_entries(path.parent, (path.name,), store)
    origin = msgspec.structs.replace(
        source.origin,
        resolved=f"{source.origin.resolved}, with the labels of {path.name}",
        files=(*source.origin.files, _beside(labels)),
    )
    artifact = msgspec.structs.replace(source.artifact, folder=stored.folder, digest=stored.digest)
    return msgspec.structs.replace(
        source, artifact=artifact, interface=facts.interface, origin=origin
    )


def encoded(captions: Captions, folder: Path, inputs: TextInputs) -> ZeroShot:
    """The captions as the text tower's token ids.

    Raises:
        UsageError: a caption that is too long for it, that its tokenizer cannot cut, or that it
            cannot tell from another: most tokenizers see no case.
    """
    reader = CaptionIds(folder, inputs)
    seen: dict[tuple[int, ...], int] = {}
    found: list[tuple[tuple[int, ...], ...]] = []
    for several in captions.captions:
        label: list[tuple[int, ...]] = []
        for caption in several:
            where = f"{captions.where}, line {caption.line}"
            label.append(ids := reader.of(caption.text, where))
            if ids in seen:
                raise UsageError(
                    f"{where}: to the model the caption {safe_text(caption.text, _SHOWN)!r} is the "
                    f"same as that of line {seen[ids]}. Leave one out."
                )
            seen[ids] = caption.line
        found.append(tuple(label))
    return ZeroShot(labels=captions.labels, captions=tuple(found), padding=_padding(inputs))


def _padding(inputs: TextInputs) -> Padding | msgspec.UnsetType:
    if not inputs.padded:
        return msgspec.UNSET
    masked = "attention_mask" in inputs.input_names
    return Padding(length=inputs.max_length, pad_id=inputs.pad_id, masked=masked)


def _beside(entry: FileEntry) -> FileEntry:
    """Named so that no file of the model has its name."""
    return msgspec.structs.replace(entry, path=f"labels/{entry.path}")


def _adopted(source: SourceModel, fixed: ZeroShot, store: Store, key: str) -> StoredObject:
    folder = source.artifact.folder
    files = sorted(path for path in folder.iterdir() if path.is_file())
    store.require_space(sum(path.stat().st_size for path in files), "A copy of the model")
    with store.stage() as staged:
        for path in files:
            copy_new_file(path, staged / path.name)
        write_new_file(staged / FILE, encode_zero_shot(fixed))
        return store.commit(staged, key)
