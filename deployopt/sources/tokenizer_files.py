"""A text model's tokenizer as one `tokenizer.json`, which the device reads with `tokenizers` alone.

In: a model folder with `tokenizer.json`, or with the older files that make one (`vocab.txt` of the
WordPiece kind, `vocab.json` and `merges.txt` of the byte-level kind). Out: `tokenizer.json` in the
same folder, and what the model needs to know of it. Refuses a tokenizer whose words the model's
embedding does not have.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from deployopt.confinement.reader import Bounds, Reader
from deployopt.core.errors import UsageError
from deployopt.core.text import safe_text
from deployopt.sources.checks import read_object, read_vocabulary
from deployopt.sources.special_tokens import text_option
from deployopt.sources.tokenizer_making import made_from
from deployopt.sources.trying import asked

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TOKENIZER: Final = "tokenizer.json"
_PAD_TOKENS: Final = ("[PAD]", "<pad>")
CHILD: Final = "deployopt.sources.tokenizer_child"
BOUNDS: Final = Bounds(wall_s=60.0, memory_bytes=2 * 2**30)
_ADDED: Final = "added_tokens_decoder"
_SHOWN: Final = 60
_ID_MAX: Final = 2**31 - 1
Opener = Callable[[Path], Mapping[str, int]]
"""Opens a tokenizer and tells its words with their numbers."""


class Opening(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="open"):
    """The confined process opens a `tokenizer.json` and tries it."""

    path: str


class Making(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="make"):
    """It makes one from the file `source`."""

    folder: str
    source: str
    options: dict[str, object]


class TokenizerFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the interface needs: the padding token, and the tokenizer's own limit if it has one."""

    pad_id: int
    max_length: int | None


def write_tokenizer(folder: Path, model_type: str) -> None:
    """Make `tokenizer.json` in a staging folder from older files; what is there stays.

    Raises:
        UsageError: there is nothing to make it from.
    """
    target = folder / TOKENIZER
    if target.exists():
        return
    source = made_from(folder, model_type)
    if source is None:
        raise UsageError(
            f"The model has no {TOKENIZER}, and none can be made for {model_type!r} from what is "
            "there. Write it once with transformers: "
            "`AutoTokenizer.from_pretrained(folder).save_pretrained(folder)`."
        )
    with Reader(CHILD, [folder], BOUNDS) as reader:
        target.write_bytes(made_with(folder, source, reader))


def made_with(folder: Path, source: str, reader: Reader) -> bytes:
    """What a confined process makes of the file `source`."""
    options = tokenizer_options(folder)
    question = Making(folder=str(folder.absolute()), source=source, options=options)
    return asked(reader, msgspec.json.encode(question), folder / source)


def read_tokenizer(
    folder: Path, config: Mapping[str, object], opener: Opener | None = None
) -> TokenizerFacts:
    """Check `tokenizer.json` against the model's config; `opener` says who opens it.

    Raises:
        RefusedInputError: the file holds a pickle, is nested too deeply, or breaks its reader.
        UsageError: not a tokenizer, or one for another model.
    """
    path = folder / TOKENIZER
    read_vocabulary(path)
    words = (opener or in_confinement)(path)
    return tokenizer_facts(folder, config, words)


def in_confinement(path: Path) -> Mapping[str, int]:
    """The words of a stranger's tokenizer, from a confined process of its own."""
    with Reader(CHILD, [path.parent, path.resolve()], BOUNDS) as reader:
        return tokenizer_words(path, reader)


def tried_before(path: Path) -> Mapping[str, int]:
    """The words of a tokenizer of the store's: it was opened in confinement before it came in."""
    words: dict[str, int] = open_tokenizer(path).get_vocab()
    return words


def tokenizer_words(path: Path, reader: Reader) -> dict[str, int]:
    """The words of a tokenizer with their numbers, from a confined process that used it."""
    question = msgspec.json.encode(Opening(path=str(path.absolute())))
    return msgspec.json.decode(asked(reader, question, path), type=dict[str, int])


def open_tokenizer(path: Path) -> "Tokenizer":
    """The tokenizer, in this process; raises UsageError where it is none."""
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_str(path.read_bytes().decode("utf-8"))
    except Exception as error:  # tokenizers raises the bare class
        raise UsageError(f"{path} is not a tokenizer: {error}.") from error


def tokenizer_facts(
    folder: Path, config: Mapping[str, object], vocabulary: Mapping[str, int]
) -> TokenizerFacts:
    """What the interface needs; raises UsageError where the words are not the model's."""
    path = folder / TOKENIZER
    rows = config.get("vocab_size")
    highest = max(vocabulary.values(), default=-1)
    if isinstance(rows, int) and highest >= rows:
        raise UsageError(
            f"{path} numbers its tokens up to {highest} and the model has {rows} embeddings "
            "(vocab_size in config.json): the tokenizer is of another model."
        )
    options = tokenizer_options(folder)
    pad_id = _pad_id(config, vocabulary, options)
    last = rows - 1 if isinstance(rows, int) else _ID_MAX
    if pad_id > last:
        raise UsageError(f"The padding token {pad_id} is beyond the model's {last + 1} embeddings.")
    limit = options.get("model_max_length")
    known = isinstance(limit, int) and 0 < limit < 2**20
    return TokenizerFacts(
        pad_id=pad_id,
        max_length=limit if known and isinstance(limit, int) else None,
    )


def seen_padding(
    folder: Path, text: Mapping[str, object], usual: str, opener: Opener | None = None
) -> int:
    """The tokenizer's own padding, where the model sees it and its config may say another.

    `usual` is the token where the folder names none.

    Raises:
        RefusedInputError: as read_tokenizer.
        UsageError: not a tokenizer, one for another model, or padding that is none of its words.
    """
    path = folder / TOKENIZER
    read_vocabulary(path)
    words = (opener or in_confinement)(path)
    tokenizer_facts(folder, {"vocab_size": text.get("vocab_size")}, words)
    named = text_option(tokenizer_options(folder), "pad_token", usual)
    if named not in words:
        raise UsageError(
            f"{folder}: the padding token {safe_text(named, _SHOWN)!r} is none of the words."
        )
    return words[named]


def _pad_id(
    config: Mapping[str, object], vocabulary: Mapping[str, int], options: Mapping[str, object]
) -> int:
    """The config's, else the tokenizer's, else 0: padding is masked, so any row of it will do."""
    stated = config.get("pad_token_id")
    if isinstance(stated, int) and not isinstance(stated, bool) and stated >= 0:
        return stated
    names = (text_option(options, "pad_token", ""), *_PAD_TOKENS)
    return next((vocabulary[name] for name in names if name in vocabulary), 0)


def tokenizer_options(folder: Path) -> dict[str, object]:
    """What the folder says of its tokenizer, as transformers takes it.

    The special tokens of an older folder, which lists no added ones, are those of its map.
    """
    path, beside = folder / "tokenizer_config.json", folder / "special_tokens_map.json"
    options = read_object(path) if path.exists() else {}
    if _ADDED not in options and beside.exists():
        options |= read_object(beside)
    return options
