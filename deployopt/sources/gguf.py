"""A GGUF file becomes a folder in Hugging Face form, once, in the store.

In: the file. Out: config, tokenizer and safetensors in float32, read by a confined process: no
network, no other files, nothing started. Refuses what `gguf_header` refuses, a file that breaks its
reader, one of which the reader would leave something out or make something up, and more weights
than a machine of this kind works with.
"""

import importlib.util
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from deployopt.confinement.reader import Bounds, Reader
from deployopt.core.bundle import FileEntry
from deployopt.core.errors import (
    IntegrityError,
    MissingExtraError,
    RefusedInputError,
    UsageError,
)
from deployopt.core.text import safe_text
from deployopt.sources.checks import SMALL_FILES
from deployopt.sources.gguf_header import GgufFacts, GgufHeader, read_gguf, read_gguf_header
from deployopt.sources.trying import asked
from deployopt.store.keys import cache_key
from deployopt.store.store import Store, StoredObject
from deployopt.store.writing import copy_new_file, new_file, write_new_file

CHILD: Final = "deployopt.modeling.language.gguf_child"
WEIGHTS_MAX: Final = 4 * 10**9
"""As float32 16 GB, which the reader holds at once."""
_VERSION: Final = 2
_GIB: Final = 2**30
_FLOAT_BYTES: Final = 4
_TENSORS_MAX: Final = 100_000
_COPY: Final = "model.gguf"
_WEIGHTS_FILE: Final = "model.safetensors"
_ALIGNMENT: Final = 8
_SECONDS_A_BILLION: Final = 600.0
_ANGLES: Final = "rope_freqs.weight"
"""Of Llama 3.1 and later; the reader makes a setting of it."""
_FACTORS: Final = "rope_factors_"
_SCALING: Final = "rope.scaling.type"
_PLAIN: Final = (None, "none")


class _Opening(msgspec.Struct, frozen=True, kw_only=True, tag="open"):
    path: str
    architecture: str


class _Weight(msgspec.Struct, frozen=True, kw_only=True, tag="weight"):
    name: str


class _Opened(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    files: dict[str, str]
    tensors: dict[str, tuple[int, ...]]


class Converted(msgspec.Struct, frozen=True, kw_only=True):
    """The folder in the store, and what the file said of itself."""

    stored: StoredObject
    facts: GgufFacts


def adopt_gguf(
    path: Path, entry: FileEntry, store: Store, check: Callable[[Path], None]
) -> Converted:
    """The folder that a file of a person's becomes, made unless the store has it.

    Raises:
        UsageError: no GGUF file, or a model of a kind that is not read.
        RefusedInputError: it is cut short or malformed, or breaks its reader.
        MissingExtraError: the packages that read it are not installed.
    """

    def copied(folder: Path) -> Path:
        read_gguf(path)  # before it is copied in vain
        own = folder / _COPY
        if copy_new_file(path.resolve(), own) != (entry.size_bytes, entry.sha256):
            raise IntegrityError(f"{path} changed while it was read.")
        return own

    return convert_into(store, gguf_key(entry), copied, check, where=str(path))


def gguf_key(entry: FileEntry) -> str:
    """The key under which the folder of a file of this content stands, whatever its name."""
    return cache_key({"source": "gguf", "version": _VERSION, "sha256": entry.sha256})


def convert_into(
    store: Store,
    key: str,
    fetch: Callable[[Path], Path],
    check: Callable[[Path], None],
    *,
    where: str = "",
) -> Converted:
    """The folder under `key`, made of what `fetch` puts into a staging folder, unless it is there.

    `check` sees the folder before it counts; errors are said of `where`.
    """
    stored = store.lookup(key)
    if stored is None:
        with store.stage() as fetched, store.stage() as staged:
            path = fetch(fetched)
            facts = read_gguf(path)
            store.require_space(facts.weights * _FLOAT_BYTES, "The model")
            try:
                convert_gguf(path, staged)
                check(staged)
            except (UsageError, RefusedInputError) as error:
                said = str(error).replace(str(path), where or path.name)
                raise type(error)(said.replace(str(staged), where or path.name)) from error
            stored = store.commit(staged, key, meta=msgspec.json.encode(facts))
    return Converted(stored=stored, facts=msgspec.json.decode(stored.meta, type=GgufFacts))


def convert_gguf(path: Path, staged: Path) -> None:
    """Write the folder's files into `staged`, which is empty; one tensor in memory at a time."""
    header = read_gguf_header(path)
    _require_plain_positions(header, path)
    if any(importlib.util.find_spec(name) is None for name in ("torch", "transformers", "gguf")):
        raise MissingExtraError("Reading a GGUF file", "build")
    facts = header.facts
    if facts.weights > WEIGHTS_MAX:
        raise RefusedInputError(
            f"{path} holds {facts.weights:,} weights; at most {WEIGHTS_MAX:,} are read from this "
            "form. Give the model as the folder that it was made from."
        )
    with Reader(CHILD, [path.parent], _bounds(facts)) as reader:
        question = _Opening(path=str(path.absolute()), architecture=facts.architecture)
        answer = asked(reader, msgspec.json.encode(question), path)
        opened = _checked(answer, header, path)
        for name, text in opened.files.items():
            write_new_file(staged / name, text.encode())
        _write_weights(staged / _WEIGHTS_FILE, opened.tensors, reader, path)


def gguf_note(facts: GgufFacts) -> str:
    """What a person should know of weights that came so."""
    if not facts.quantized:
        return f"The weights come from a GGUF file in {facts.main_type}."
    return (
        f"The weights come from a GGUF file, most of them in {facts.main_type} "
        f"({facts.bits:.1f} bits a weight on average): the reference is a quantized model itself, "
        "so that little is lost by quantizing it again does not show what the model as it was "
        "trained would lose."
    )


def _bounds(facts: GgufFacts) -> Bounds:
    size = facts.weights * _FLOAT_BYTES
    return Bounds(
        wall_s=_SECONDS_A_BILLION * max(1.0, facts.weights / 1e9),
        memory_bytes=2 * _GIB + 3 * size,
        headroom_bytes=16 * _GIB + size,
        answer_bytes=min(size + _GIB // 4, 2**32 - 1),
    )


def _require_plain_positions(header: GgufHeader, path: Path) -> None:
    """Refuse positions that the reader would take for plain ones: the model would be another."""
    scaling = header.sizes.get(_SCALING)
    if any(name.startswith(_FACTORS) for name in header.tensors):
        scaling = "longrope"
    if scaling not in _PLAIN:
        raise UsageError(
            f"{path} holds a model whose positions are stretched ({safe_text(str(scaling), 40)}), "
            "which is not read from this form. Give it as the folder that it was made from."
        )


def _checked(answer: bytes, header: GgufHeader, path: Path) -> _Opened:
    """The process may have been taken over by the file: only what can be right is written."""
    try:
        opened = msgspec.json.decode(answer, type=_Opened)
    except msgspec.MsgspecError as error:
        raise RefusedInputError(f"{path}: its reader spoke nonsense.") from error
    odd = sorted(set(opened.files) - set(SMALL_FILES))
    weights = sum(math.prod(shape) for shape in opened.tensors.values())
    least = min((min(shape, default=1) for shape in opened.tensors.values()), default=0)
    if odd or least < 1 or len(opened.tensors) > _TENSORS_MAX:
        raise RefusedInputError(f"{path}: what its reader makes of it is no model of that file.")
    # The reader draws at random what a file lacks, and leaves out what it has no place for.
    found = header.facts.weights - math.prod(header.tensors.get(_ANGLES, (0,)))
    if weights != found:
        raise UsageError(
            f"{path} holds {found:,} weights, and the model that it describes is read with "
            f"{weights:,}: the file is not whole, or holds what is not read from this form. Fetch "
            "it again, or give the model as the folder that it was made from."
        )
    return opened


def _write_weights(
    target: Path, tensors: Mapping[str, tuple[int, ...]], reader: Reader, path: Path
) -> None:
    """A safetensors file: the length of its header, the header, the tensors in its order."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, shape in tensors.items():
        end = at + math.prod(shape) * _FLOAT_BYTES
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [at, end]}
        at = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    with new_file(target) as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        for name, shape in tensors.items():
            raw = asked(reader, msgspec.json.encode(_Weight(name=name)), path)
            if len(raw) != math.prod(shape) * _FLOAT_BYTES:
                raise RefusedInputError(f"{path}: its reader gave {name[:100]!r} of another size.")
            stream.write(raw)
