"""A `tokenizer.json` made from the files that older models have, as transformers makes it.

In: a folder with `vocab.txt` (WordPiece), or `vocab.json` and `merges.txt` (byte-level, or CLIP's,
whose words end in a mark), or `spiece.model` (sentence_pieces.py), and its options. Out: the
text of `tokenizer.json`. It runs in the confined process: the library that builds is native code,
and the files are strangers'.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.errors import UsageError
from deployopt.sources.sentence_pieces import FILE as SENTENCE_PIECES
from deployopt.sources.sentence_pieces import MODELS as SIGLIP
from deployopt.sources.sentence_pieces import sentence_pieces
from deployopt.sources.special_tokens import text_option

WORD_PIECE: Final = frozenset({"bert", "distilbert", "electra", "mobilebert", "squeezebert"})
BYTE_LEVEL: Final = frozenset({"roberta"})
CLIP: Final = frozenset({"clip", "clip_text_model"})
_CLIP_START: Final = "<|startoftext|>"
CLIP_END: Final = "<|endoftext|>"
_CLIP_WORDS: Final = r"""'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"""
_PAIR: Final = 2


def made_from(folder: Path, model_type: str) -> str | None:
    """The file that this type of model brings its words in; None where it brings none."""
    if model_type in WORD_PIECE and (folder / "vocab.txt").exists():
        return "vocab.txt"
    if model_type in BYTE_LEVEL and (folder / "vocab.json").exists():
        return "vocab.json"
    if model_type in CLIP and (folder / "merges.txt").exists():
        return "merges.txt"
    if model_type in SIGLIP and (folder / SENTENCE_PIECES).exists():
        return SENTENCE_PIECES
    return None


def make_tokenizer(folder: Path, source: str, options: Mapping[str, object]) -> str:
    """The text of `tokenizer.json`; raises UsageError where the words are malformed."""
    try:
        made: str = _BUILDERS[source](folder / source, options).to_str()
    except UsageError:
        raise
    except Exception as error:  # tokenizers raises the bare class
        raise UsageError(f"{folder / source} makes no tokenizer: {error}.") from error
    return made


# The builders follow what transformers makes of the same files for these model types.
def _word_piece(path: Path, options: Mapping[str, object]):  # type: ignore[no-untyped-def]  # noqa: ANN202
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    words = _lines(path)
    vocabulary = {word: at for at, word in enumerate(words)}
    cls = text_option(options, "cls_token", "[CLS]")
    sep = text_option(options, "sep_token", "[SEP]")
    unknown = text_option(options, "unk_token", "[UNK]")
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
    special = [cls, sep, unknown, text_option(options, "pad_token", "[PAD]"),
        text_option(options, "mask_token", "[MASK]")]  # fmt: skip
    built.add_special_tokens([token for token in special if token in vocabulary])
    return built


def _byte_level(path: Path, options: Mapping[str, object]):  # type: ignore[no-untyped-def]  # noqa: ANN202
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

    vocabulary, merges = _vocabulary(path), _merges(path.with_name("merges.txt"))
    cls, sep = text_option(options, "cls_token", "<s>"), text_option(options, "sep_token", "</s>")
    _require(vocabulary, (cls, sep), path)
    spaced = _flag(options, "add_prefix_space", default=False)
    built = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, fuse_unk=False))
    built.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=spaced)
    built.decoder = decoders.ByteLevel()
    built.post_processor = processors.RobertaProcessing(
        (sep, vocabulary[sep]), (cls, vocabulary[cls]), add_prefix_space=spaced
    )
    special = [cls, sep, text_option(options, "unk_token", "<unk>"),
        text_option(options, "pad_token", "<pad>")]  # fmt: skip
    built.add_special_tokens([token for token in special if token in vocabulary])
    mask = text_option(options, "mask_token", "<mask>")
    if mask in vocabulary:
        built.add_special_tokens([AddedToken(mask, lstrip=True)])
    return built


def _clip(path: Path, options: Mapping[str, object]):  # type: ignore[no-untyped-def]  # noqa: ANN202
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
    from tokenizers.processors import RobertaProcessing

    vocabulary, merges = _vocabulary(path.with_name("vocab.json")), _merges(path)
    start = text_option(options, "bos_token", _CLIP_START)
    end = text_option(options, "eos_token", CLIP_END)
    unknown = text_option(options, "unk_token", CLIP_END)
    _require(vocabulary, (start, end, unknown), path)
    built = Tokenizer(
        models.BPE(
            vocab=vocabulary,
            merges=merges,
            continuing_subword_prefix="",
            end_of_word_suffix="</w>",
            fuse_unk=False,
            unk_token=unknown,
        )
    )
    built.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    words = pre_tokenizers.Split(Regex(_CLIP_WORDS), behavior="removed", invert=True)
    built.pre_tokenizer = pre_tokenizers.Sequence(
        [words, pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    built.decoder = decoders.ByteLevel()
    built.post_processor = RobertaProcessing(
        (end, vocabulary[end]),
        (start, vocabulary[start]),
        trim_offsets=False,
        add_prefix_space=False,
    )
    special = [start, end, unknown, text_option(options, "pad_token", end)]
    built.add_special_tokens([token for token in special if token in vocabulary])
    return built


_BUILDERS: Final = {
    "vocab.txt": _word_piece,
    "vocab.json": _byte_level,
    "merges.txt": _clip,
    SENTENCE_PIECES: sentence_pieces,
}
"""By the file that `made_from` names."""


def _vocabulary(path: Path) -> dict[str, int]:
    if not path.exists():
        raise UsageError(f"{path.name} is missing beside {path.with_name('merges.txt')}.")
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, int])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not a vocabulary: {error}.") from error


def _merges(path: Path) -> list[tuple[str, str]]:
    pairs = [line.split(" ") for line in _lines(path)]
    return [(pair[0], pair[1]) for pair in pairs if len(pair) == _PAIR and pair[0] != "#version:"]


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


def _flag(options: Mapping[str, object], name: str, *, default: bool) -> bool:
    value = options.get(name, default)
    return value if isinstance(value, bool) else default
