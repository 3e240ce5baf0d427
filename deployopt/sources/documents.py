"""Running text for a language model: documents as token ids, to choose by and to judge by.

In: a text file whose documents end at blank lines, a table with a text column, or the news
editorials of `demo-chat`; the model whose tokenizer reads them. Out: the splits search and gate,
one document an example, chosen by content and seed, and where more text is left, calibration.
Documents that repeat or resemble another are left out, because each counts as one observation.
Refuses too little text.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from deployopt.catalogue.models import DEMO_CHAT
from deployopt.core.bundle import Origin
from deployopt.core.errors import UsageError
from deployopt.core.interface import PromptInputs
from deployopt.core.measurement import Split
from deployopt.core.samples import Feed, encode_samples
from deployopt.core.source import Dataset, SourceModel
from deployopt.sources.adopting import file_entries
from deployopt.sources.demo import DATA, read_demo_articles
from deployopt.sources.demo_data import stored_archive
from deployopt.sources.document_counts import (
    CALIBRATION_DOCUMENTS,
    CALIBRATION_DOCUMENTS_MIN,
    DOCUMENTS_MIN,
    GATE_DOCUMENTS,
    SEARCH_DOCUMENTS,
)
from deployopt.sources.hub_names import PREFIX
from deployopt.sources.locking import Lock, check_locked
from deployopt.sources.naming import check_data_name
from deployopt.sources.parts import DataOptions, one_data_file, split_files
from deployopt.sources.placing import located
from deployopt.sources.splits import alike
from deployopt.sources.tables import (
    SUFFIXES,
    check_regular_text,
    decoded_text,
    read_plain_texts,
)
from deployopt.sources.tokenizer_files import TOKENIZER, open_tokenizer
from deployopt.store.keys import cache_key
from deployopt.store.store import Store, StoredObject
from deployopt.store.writing import write_new_file

if TYPE_CHECKING:
    from tokenizers import Tokenizer

IDS: Final = "input_ids"
DOCUMENT_TOKENS: Final = 256
DOCUMENT_TOKENS_MIN: Final = 24
PROMPT_TOKENS: Final = 64
SEARCH_PROMPTS: Final = 16
GATE_PROMPTS: Final = 32
TIMED_PROMPTS: Final = 32
TEXT: Final = ".txt"
_VERSION: Final = 2
_SEARCH_PART: Final = 4
"""Of few documents, every fourth is to choose by."""
_JUDGING: Final = SEARCH_DOCUMENTS + GATE_DOCUMENTS
_POOL: Final = 2_000
_CHARACTERS_MAX: Final = 64 * DOCUMENT_TOKENS
_BLANK: Final = re.compile(r"\n[ \t\r]*\n\s*")
_EDITORIALS: Final = (
    "The texts are editorials of The New York Times: English prose, no dialogue, no code, no other "
    "language."
)


class _Texts(msgspec.Struct, frozen=True, kw_only=True):
    """Where texts are from; `read` opens them only when they are not in the store."""

    name: str
    origin: Origin
    read: Callable[[], Sequence[str]]
    notes: tuple[str, ...] = ()


class _Beside(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What stands beside the splits in the store."""

    counts: dict[str, int]
    notes: tuple[str, ...]


def load_documents(
    spec: str | None,
    *,
    model: SourceModel,
    store: Store,
    seed: int = 0,
    options: DataOptions | None = None,
    lock: Lock | None = None,
) -> Dataset:
    """The splits that `spec` gives for a language model; None: what it brings.

    An example is `{"input_ids": int64 [1, n]}` with n from 24 to 256. The split calibration is
    there only where at least 16 documents are left by the other two.

    Raises:
        UsageError: no such text, it is malformed, or too little.
        SourceError: it could not be fetched.
        IntegrityError: its bytes are not the ones that were pinned or locked.
    """
    inputs = model.interface.inputs
    name = spec or model.default_data
    if not isinstance(inputs, PromptInputs):
        raise UsageError(f"{model.name} is no language model: it takes labelled data.")
    if name is None:
        raise UsageError(
            f"{model.name} brings no text to judge by. Give it as the data: a {TEXT} file whose "
            "documents end at blank lines, or CSV or JSON lines with a text column."
        )
    options = options or DataOptions()
    found = _find(name, store, options)
    check_locked(found.origin, lock)
    folder = model.artifact.folder
    key = cache_key(
        {
            "source": "documents",
            "version": _VERSION,
            "seed": seed,
            "name": found.name,
            "files": [[entry.path, entry.sha256] for entry in found.origin.files],
            "columns": options.columns,
            "tokenizer": store.memo.sha256(folder / TOKENIZER),
            "context": inputs.context,
        }
    )
    stored = store.lookup(key)
    if stored is None:
        tokenizer = open_tokenizer(folder / TOKENIZER)
        longest = min(DOCUMENT_TOKENS, inputs.context)
        parts = _chosen(found, f"{found.name}/{seed}", tokenizer, longest)
        stored = _write(parts, found.notes, store, key)
    return _dataset(found, stored)


def prompts_of(documents: Sequence[Feed], most: int) -> list[Feed]:
    """The beginnings of the first `most` documents, each of at most 64 tokens."""
    return [{IDS: document[IDS][:, :PROMPT_TOKENS]} for document in documents[:most]]


def _find(name: str, store: Store, options: DataOptions) -> _Texts:
    if name == DEMO_CHAT:
        stored = stored_archive(store, DEMO_CHAT)
        archive = stored.folder / DATA.file_name
        return _Texts(
            name=DEMO_CHAT,
            origin=Origin(
                asked=f"{DEMO_CHAT} data",
                resolved=f"{DATA.name}=={DATA.version}, news editorials",
                licence=DATA.licence,
                files=stored.files,
            ),
            read=lambda: read_demo_articles(archive),
            notes=(_EDITORIALS,),
        )
    check_data_name(name)
    path = located(name)
    other = path.is_file() and path.suffix not in {TEXT, *SUFFIXES}
    if name.startswith(PREFIX) or not path.exists() or other:
        raise UsageError(
            f"{name} is no text that a language model is judged by. Give a {TEXT} file whose "
            f"documents end at blank lines, or a table with a text column ({', '.join(SUFFIXES)})."
        )
    file = one_data_file(path, (TEXT, *SUFFIXES))
    entries = file_entries(file.parent, (file.name,), store)
    return _Texts(
        name=file.name,
        origin=Origin(asked=name, resolved=f"file {file.name}", files=entries),
        read=lambda: _read(file, options),
    )


def _read(path: Path, options: DataOptions) -> Sequence[str]:
    if path.suffix == TEXT:
        check_regular_text(path)
        return _BLANK.split(decoded_text(path))
    return read_plain_texts(path, options.columns)


class _Parts(msgspec.Struct, frozen=True, kw_only=True):
    splits: dict[Split, list[Feed]]
    notes: tuple[str, ...]


def _chosen(found: _Texts, salt: str, tokenizer: "Tokenizer", longest: int) -> _Parts:
    """The first documents in an order that content and seed decide."""
    texts = found.read()
    different = {text.strip() for text in texts}
    long = (text for text in different if len(text) >= DOCUMENT_TOKENS_MIN)
    pool = sorted(long, key=lambda text: _rank(text, salt))[:_POOL]
    groups = alike(pool).tolist()
    seen: set[int] = set()
    documents: list[Feed] = []
    short = resembling = 0
    for text, group in zip(pool, groups, strict=True):
        if len(documents) == _JUDGING + CALIBRATION_DOCUMENTS:
            break
        ids = encoded_ids(tokenizer, text[:_CHARACTERS_MAX])[:longest]
        if len(ids) < min(DOCUMENT_TOKENS_MIN, longest):
            short += 1
        elif group in seen:
            resembling += 1
        else:
            seen.add(group)
            documents.append({IDS: np.asarray([ids], dtype=np.int64)})
    if len(documents) < DOCUMENTS_MIN:
        raise _too_little(found.name, len(documents), len(texts))
    search = min(SEARCH_DOCUMENTS, len(documents) // _SEARCH_PART)
    splits = {Split.SEARCH: documents[:search], Split.GATE: documents[search:_JUDGING]}
    if len(documents) - _JUDGING >= CALIBRATION_DOCUMENTS_MIN:
        splits[Split.CALIBRATION] = documents[_JUDGING:]
    return _Parts(splits=splits, notes=_said(found.name, splits, short, resembling))


def _rank(text: str, salt: str) -> bytes:
    content = text.encode("utf-8", "surrogatepass")
    return hashlib.sha256(salt.encode() + b"\0" + content).digest()


def encoded_ids(tokenizer: "Tokenizer", text: str) -> list[int]:
    """As the model reads it, without the tokens that would end it.

    Raises:
        UsageError: the tokenizer fails on it.
    """
    tokenizer.no_padding()
    tokenizer.no_truncation()
    try:
        encoded = tokenizer.encode(text)
    except Exception as error:  # tokenizers raises the bare class
        raise UsageError(f"The model's tokenizer fails on a text: {error}.") from error
    count = len(encoded.ids)
    while count and encoded.special_tokens_mask[count - 1]:
        count -= 1
    ids: list[int] = encoded.ids[:count]
    return ids


def _too_little(name: str, documents: int, texts: int) -> UsageError:
    return UsageError(
        f"{name} gives {documents} documents, of {texts} texts, that have at least "
        f"{DOCUMENT_TOKENS_MIN} tokens and differ from one another. At least {DOCUMENTS_MIN} are "
        f"needed to choose and to judge by, and {_JUDGING} of "
        f"{DOCUMENT_TOKENS} tokens are used where they are there. In a {TEXT} file a blank line "
        "ends a document; in a table each row is one."
    )


def _said(
    name: str, splits: dict[Split, list[Feed]], short: int, resembling: int
) -> tuple[str, ...]:
    gate = splits[Split.GATE]
    tokens = sum(document[IDS].shape[1] for document in gate)
    shown = (
        f"{name}: {len(gate)} documents of {tokens:,} tokens judge. The negative log-likelihood "
        "shows how well running text of this kind is predicted, without the chat template; it "
        "does not show whether answers are right, or instructions followed."
    )
    left = {f"shorter than {DOCUMENT_TOKENS_MIN} tokens": short, "like another one": resembling}
    counts = [f"{count} {why}" for why, count in left.items() if count]
    return (shown, *((f"{name}: left out: {', '.join(counts)}.",) if counts else ()))


def _write(parts: _Parts, notes: tuple[str, ...], store: Store, key: str) -> StoredObject:
    with store.stage() as staged:
        for split, documents in parts.splits.items():
            write_new_file(staged / f"{split.value}.npz", encode_samples(documents))
        beside = _Beside(
            counts={split.value: len(documents) for split, documents in parts.splits.items()},
            notes=(*parts.notes, *notes),
        )
        return store.commit(staged, key, meta=msgspec.json.encode(beside))


def _dataset(found: _Texts, stored: StoredObject) -> Dataset:
    beside = msgspec.json.decode(stored.meta, type=_Beside)
    return Dataset(
        name=found.name,
        labelled=False,
        splits=split_files(stored, beside.counts),
        origin=found.origin,
        notes=beside.notes,
    )
