"""A SigLIP tokenizer made from `spiece.model`, the file that SentencePiece keeps its words in.

In: the file, a protocol buffer (sentencepiece_model.proto), and the options beside it. Out: a
tokenizer that gives a text the ids that transformers' SiglipTokenizer gives: small letters, no
punctuation, one blank between words, an end. Refuses (UsageError) a file that is none, and pieces
of another kind than unigram's. It runs in the confined process, as all that makes tokenizers does.
"""

import string
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.errors import UsageError
from deployopt.sources.special_tokens import text_option

FILE: Final = "spiece.model"
MODELS: Final = frozenset({"siglip"})
_BLANK: Final = "\u2581"
_PIECES, _TRAINER, _NORMALIZER = 1, 2, 3
_UNIGRAM: Final = 1
_UNKNOWN, _BYTE = 2, 6
_VARINT, _WIDE, _BYTES, _NARROW = 0, 1, 2, 5
_PIECES_MAX: Final = 1_000_000
_SHIFT_MAX: Final = 63


class Pieces(msgspec.Struct, frozen=True, kw_only=True):
    """The words with their scores, which of them is the unknown one, and how letters are mapped."""

    words: tuple[tuple[str, float], ...]
    unknown: int
    letters: bytes


def sentence_pieces(path: Path, options: Mapping[str, object]):  # type: ignore[no-untyped-def]  # noqa: ANN201
    """The tokenizer; as the builders beside it."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, processors

    found = read_pieces(path)
    vocabulary = {word: at for at, (word, _) in enumerate(found.words)}
    end = text_option(options, "eos_token", "</s>")
    if end not in vocabulary:
        raise UsageError(f"{path} lacks the token {end}.")
    built = Tokenizer(models.Unigram(list(found.words), found.unknown, byte_fallback=False))
    steps = [normalizers.Replace(_BLANK, " "), normalizers.Prepend(_BLANK)]
    if options.get("do_lower_case", True):
        steps.append(normalizers.Lowercase())
    steps += [
        normalizers.Replace(
            Regex("[" + "".join(f"\\{one}" for one in string.punctuation) + "]"), ""
        ),
        normalizers.Replace(Regex(r"\s+"), " "),
        normalizers.Strip(),
    ]
    if found.letters:
        steps += [normalizers.Precompiled(found.letters), normalizers.Replace(Regex(" {2,}"), " ")]
    steps.append(normalizers.Replace(" ", _BLANK))
    built.normalizer = normalizers.Sequence(steps)
    built.decoder = decoders.Metaspace(replacement=_BLANK)
    built.post_processor = processors.TemplateProcessing(
        single=f"$A {end}", special_tokens=[(end, vocabulary[end])]
    )
    unknown = found.words[found.unknown][0]
    special = [end, unknown, text_option(options, "pad_token", end)]
    built.add_special_tokens([token for token in special if token in vocabulary])
    return built


def read_pieces(path: Path) -> Pieces:
    """What the file holds.

    Raises:
        UsageError: it is cut off or of another form.
    """
    words: list[tuple[str, float]] = []
    unknown, letters = None, b""
    try:
        for field, value in _fields(path.read_bytes()):
            if field == _PIECES and len(words) < _PIECES_MAX:
                piece = dict(_fields(_as_bytes(value)))
                if piece.get(3) == _UNKNOWN:
                    unknown = len(words)
                _require_plain(piece.get(3) != _BYTE, path)
                words.append((_as_bytes(piece[1]).decode("utf-8"), _as_float(piece.get(2))))
            elif field == _TRAINER:
                kind = dict(_fields(_as_bytes(value))).get(3, _UNIGRAM)
                _require_plain(kind == _UNIGRAM, path)
            elif field == _NORMALIZER:
                letters = _as_bytes(dict(_fields(_as_bytes(value))).get(2, b""))
    except (ValueError, KeyError, struct.error) as error:
        raise UsageError(f"{path} is not a SentencePiece model: {error}.") from error
    if unknown is None:
        raise UsageError(f"{path} is not a SentencePiece model: no piece is the unknown one.")
    return Pieces(words=tuple(words), unknown=unknown, letters=letters)


def _require_plain(plain: bool, path: Path) -> None:  # noqa: FBT001 -- the one thing it is told
    if not plain:
        raise UsageError(
            f"{path} has pieces that are read for unigrams only. Write tokenizer.json once with "
            "transformers: `AutoTokenizer.from_pretrained(folder).save_pretrained(folder)`."
        )


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Each field's number and value, in order (protobuf's encoding, protobuf.dev)."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        field, kind = key >> 3, key & 7
        if kind == _VARINT:
            number, at = _varint(data, at)
            yield field, number
            continue
        if kind not in (_BYTES, _WIDE, _NARROW):
            raise ValueError(f"a field of kind {kind} at byte {at}")
        size = 8 if kind == _WIDE else 4
        if kind == _BYTES:
            size, at = _varint(data, at)
        if at + size > len(data):
            raise ValueError("it is cut off")
        yield field, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, _SHIFT_MAX + 1, 7):
        if at >= len(data):
            raise ValueError("it is cut off")
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:  # noqa: PLR2004 -- the highest bit says that more follows
            return value, at
    raise ValueError(f"a number without an end at byte {at}")


def _as_bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("a number where text belongs")  # noqa: TRY004 -- of the file, not of ours
    return value


def _as_float(value: int | bytes | None) -> float:
    return 0.0 if value is None else float(struct.unpack("<f", _as_bytes(value))[0])
