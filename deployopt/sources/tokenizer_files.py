"""A text model's tokenizer as one `tokenizer.json`, which the device reads with `tokenizers` alone.

In: a model folder with `tokenizer.json`, or with the older files that make one (`vocab.txt` of the
WordPiece kind, `vocab.json` and `merges.txt` of the byte-level kind). Out: `tokenizer.json` in the
same folder, and what the model needs to know of it. Refuses a tokenizer whose words the model's
embedding does not have.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.errors import UsageError
from deployopt.sources.checks import read_object, read_vocabulary

TOKENIZER: Final = "tokenizer.json"
_WORD_PIECE: Final = frozenset({"bert", "distilbert", "electra", "mobilebert", "squeezebert"})
_BYTE_LEVEL: Final = frozenset({"roberta"})
_PAD_TOKENS: Final = ("[PAD]", "<pad>")
_PAIR: Final = 2


class TokenizerFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the interface needs: the padding token, and the tokenizer's own limit if it has one."""

    pad_id: int
    max_length: int | None


def write_tokenizer(folder: Path, model_type: str) -> None:
    """Make `tokenizer.json` in a staging folder from older files; what is there stays.

    Raises:
        UsageError: there is nothing to make it from.
    """
    from tokenizers import Tokenizer

    target = folder / TOKENIZER
    if target.exists():
        return
    options = _options(folder)
    built: Tokenizer
    if model_type in _WORD_PIECE and (folder / "vocab.txt").exists():
        built = _word_piece(folder / "vocab.txt", options)
    elif model_type in _BYTE_LEVEL and (folder / "vocab.json").exists():
        built = _byte_level(folder, options)
    else:
        raise UsageError(
            f"The model has no {TOKENIZER}, and none can be made for {model_type!r} from what is "
            "there. Write it once with transformers: "
            "`AutoTokenizer.from_pretrained(folder).save_pretrained(folder)`."
        )
    target.write_text(built.to_str(), encoding="utf-8")


def read_tokenizer(folder: Path, config: Mapping[str, object]) -> TokenizerFacts:
    """Check `tokenizer.json` against the model's config.

    Raises:
        RefusedInputError: the file holds a pickle or is nested too deeply.
        UsageError: not a tokenizer, or one for another model.
    """
    from tokenizers import Tokenizer

    path = folder / TOKENIZER
    read_vocabulary(path)
    try:
        opened = Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:  # tokenizers raises the bare class
        raise UsageError(f"{path} is not a tokenizer: {error}.") from error
    vocabulary: Mapping[str, int] = opened.get_vocab(with_added_tokens=True)
    rows = config.get("vocab_size")
    highest = max(vocabulary.values(), default=-1)
    if isinstance(rows, int) and highest >= rows:
        raise UsageError(
            f"{path} numbers its tokens up to {highest} and the model has {rows} embeddings "
            "(vocab_size in config.json): the tokenizer is of another model."
        )
    options = _options(folder)
    pad_id = _pad_id(config, vocabulary, options)
    if isinstance(rows, int) and pad_id >= rows:
        raise UsageError(f"The padding token {pad_id} is beyond the model's {rows} embeddings.")
    limit = options.get("model_max_length")
    known = isinstance(limit, int) and 0 < limit < 2**20
    return TokenizerFacts(
        pad_id=pad_id,
        max_length=limit if known and isinstance(limit, int) else None,
    )


def _pad_id(
    config: Mapping[str, object], vocabulary: Mapping[str, int], options: Mapping[str, object]
) -> int:
    """The config's, else the tokenizer's, else 0: padding is masked, so any row of it will do."""
    stated = config.get("pad_token_id")
    if isinstance(stated, int) and not isinstance(stated, bool) and stated >= 0:
        return stated
    names = (_token(options, "pad_token", ""), *_PAD_TOKENS)
    return next((vocabulary[name] for name in names if name in vocabulary), 0)


def _options(folder: Path) -> dict[str, object]:
    path = folder / "tokenizer_config.json"
    return read_object(path) if path.exists() else {}


def _token(options: Mapping[str, object], name: str, default: str) -> str:
    """A special token, written as a text or as an object with its content."""
    value = options.get(name, default)
    if isinstance(value, dict):
        value = value.get("content", default)
    return value if isinstance(value, str) else default


def _flag(options: Mapping[str, object], name: str, *, default: bool) -> bool:
    value = options.get(name, default)
    return value if isinstance(value, bool) else default


# The two builders follow what transformers makes of the same files for these model types.
def _word_piece(path: Path, options: Mapping[str, object]):  # type: ignore[no-untyped-def]  # noqa: ANN202
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    words = _lines(path)
    vocabulary = {word: at for at, word in enumerate(words)}
    cls, sep = _token(options, "cls_token", "[CLS]"), _token(options, "sep_token", "[SEP]")
    unknown = _token(options, "unk_token", "[UNK]")
    _require(vocabulary, (cls, sep, unknown), path)
    strip = options.get("strip_accents")
    built = Tokenizer(models.WordPiece(vocabulary, unk_token=unknown))
    built.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=_flag(options, "tokenize_chinese_chars", default=True),
        strip_accents=strip if isinstance(strip, bool) else None,
        lowercase=_flag(options, "do_lower_case", default=True),
    )
    built.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    built.decoder = decoders.WordPiece(prefix="##")
    built.post_processor = processors.TemplateProcessing(
        single=f"{cls}:0 $A:0 {sep}:0",
        pair=f"{cls}:0 $A:0 {sep}:0 $B:1 {sep}:1",
        special_tokens=[(cls, vocabulary[cls]), (sep, vocabulary[sep])],
    )
    special = [cls, sep, unknown, _token(options, "pad_token", "[PAD]"),
        _token(options, "mask_token", "[MASK]")]  # fmt: skip
    built.add_special_tokens([token for token in special if token in vocabulary])
    return built


def _byte_level(folder: Path, options: Mapping[str, object]):  # type: ignore[no-untyped-def]  # noqa: ANN202
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

    path = folder / "vocab.json"
    try:
        vocabulary = msgspec.json.decode(path.read_bytes(), type=dict[str, int])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not a vocabulary: {error}.") from error
    pairs = [line.split(" ") for line in _lines(folder / "merges.txt")]
    merges = [(pair[0], pair[1]) for pair in pairs if len(pair) == _PAIR and pair[0] != "#version:"]
    cls, sep = _token(options, "cls_token", "<s>"), _token(options, "sep_token", "</s>")
    _require(vocabulary, (cls, sep), path)
    spaced = _flag(options, "add_prefix_space", default=False)
    built = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, fuse_unk=False))
    built.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=spaced)
    built.decoder = decoders.ByteLevel()
    built.post_processor = processors.RobertaProcessing(
        (sep, vocabulary[sep]), (cls, vocabulary[cls]), add_prefix_space=spaced
    )
    special = [cls, sep, _token(options, "unk_token", "<unk>"),
        _token(options, "pad_token", "<pad>")]  # fmt: skip
    built.add_special_tokens([token for token in special if token in vocabulary])
    mask = _token(options, "mask_token", "<mask>")
    if mask in vocabulary:
        built.add_special_tokens([AddedToken(mask, lstrip=True)])
    return built


def _lines(path: Path) -> list[str]:
    if not path.exists():
        raise UsageError(f"{path.name} is missing beside {path.parent / 'vocab.json'}.")
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text (byte {error.start}).") from error
    # Only line feeds end a word: some vocabularies hold other characters that Python splits at.
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    return lines[:-1] if lines and not lines[-1] else lines


def _require(vocabulary: Mapping[str, int], tokens: tuple[str, ...], path: Path) -> None:
    missing = [token for token in tokens if token not in vocabulary]
    if missing:
        raise UsageError(f"{path} lacks the tokens {', '.join(missing)}.")
