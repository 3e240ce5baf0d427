"""A byte-level tokenizer as a GGUF file says it: words, their kinds, merges, and how text is split.

In: tokenizer.json and what stands beside it. Out: the entries. llama.cpp knows ways of splitting by
name, each a pattern of its own: only a tokenizer whose own pattern is one of those is written.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.errors import UsageError
from deployopt.sources.checks import CHAT_TEMPLATE, read_object, read_vocabulary
from deployopt.sources.decoders import read_template

TOKENIZER: Final = "tokenizer.json"
OPTIONS: Final = "tokenizer_config.json"
NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5
_WORDS_MAX: Final = 2**20
_LLAMA3: Final = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN2: Final = _LLAMA3.replace("{1,3}", "")
_PATTERNS: Final[Mapping[str, str]] = {_LLAMA3: "llama-bpe", _QWEN2: "qwen2"}
_SPECIAL: Final = ("bos", "eos", "unk", "pad")


class Words(msgspec.Struct, frozen=True, kw_only=True):
    """Entries of the file, words by their number."""

    split: str
    """llama.cpp's name of the way that text is split."""
    words: tuple[str, ...]
    kinds: tuple[int, ...]
    merges: tuple[str, ...]
    special: dict[str, int]
    """Of bos, eos, unk, pad those that there are."""
    begins: bool
    """Whether a text without a template begins with bos."""
    template: str | None


def read_words(folder: Path, config: Mapping[str, object], size: int, command: str) -> Words:
    """The tokenizer of a model with `size` rows of words; `command` is what else to do.

    Raises:
        UsageError: it is of a kind that is not written.
    """
    tree = read_vocabulary(folder / TOKENIZER)
    model = _part(tree, "model")
    split = _split(tree)
    vocabulary, merges = model.get("vocab"), model.get("merges")
    if model.get("type") != "BPE" or split is None or model.get("byte_fallback"):
        raise UsageError(
            "The model's tokenizer splits text in a way that is not written as GGUF here: "
            f"byte-level ones of SmolLM's, Llama 3's and Qwen2's kind are. {command}"
        )
    if not isinstance(vocabulary, dict) or not isinstance(merges, list) or size > _WORDS_MAX:
        raise UsageError(f"The model's tokenizer has no list of words and merges. {command}")
    words, kinds = _listed(vocabulary, tree, size)
    return Words(
        split=split,
        words=words,
        kinds=kinds,
        merges=tuple(m if isinstance(m, str) else " ".join(map(str, m)) for m in merges),
        special=_special(folder, config, words),
        begins=_begins(_part(tree, "post_processor")),
        template=_template(folder),
    )


def _split(tree: Mapping[str, object]) -> str | None:
    """The name of the way, by what stands in the file; None of any other."""
    if tree.get("normalizer") not in (None, {"type": "NFC"}):
        return None
    before = _part(tree, "pre_tokenizer")
    listed = before.get("pretokenizers")
    steps = listed if isinstance(listed, list) else [before]
    kinds = [step.get("type") for step in steps if isinstance(step, dict)]
    if kinds == ["Digits", "ByteLevel"] and steps[0].get("individual_digits"):
        return "smollm" if steps[1].get("use_regex", True) and not _prefixed(steps[1]) else None
    if kinds == ["ByteLevel"]:
        return "gpt-2" if before.get("use_regex", True) and not _prefixed(before) else None
    if kinds == ["Split", "ByteLevel"] and not steps[1].get("use_regex", True):
        pattern = steps[0].get("pattern")
        found = pattern.get("Regex") if isinstance(pattern, dict) else None
        plain = steps[0].get("behavior") == "Isolated" and not steps[0].get("invert")
        return _PATTERNS.get(str(found)) if plain and not _prefixed(steps[1]) else None
    return None


def _begins(after: Mapping[str, object]) -> bool:
    """Whether a special token is put before a text."""
    listed = after.get("processors")
    steps = listed if isinstance(listed, list) else [after]
    for step in steps:
        single = step.get("single") if isinstance(step, dict) else None
        first = single[0] if isinstance(single, list) and single else None
        if isinstance(first, dict) and "SpecialToken" in first:
            return True
    return False


def _prefixed(step: Mapping[str, object]) -> bool:
    return bool(step.get("add_prefix_space", True))


def _listed(
    vocabulary: Mapping[str, object], tree: Mapping[str, object], size: int
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Rows without a word have one that is never used."""
    words = [f"[PAD{at}]" for at in range(size)]
    kinds = [UNUSED] * size
    for word, number in vocabulary.items():
        if isinstance(number, int) and 0 <= number < size:
            words[number], kinds[number] = word, NORMAL
    added = tree.get("added_tokens")
    for token in added if isinstance(added, list) else []:
        number = token.get("id") if isinstance(token, dict) else None
        if isinstance(number, int) and 0 <= number < size:
            words[number] = str(token.get("content"))
            kinds[number] = CONTROL if token.get("special") else USER_DEFINED
    return tuple(words), tuple(kinds)


def _special(folder: Path, config: Mapping[str, object], words: tuple[str, ...]) -> dict[str, int]:
    """As the tokenizer's options name them, else as the model's config numbers them."""
    path = folder / OPTIONS
    options = read_object(path) if path.is_file() else {}
    known = {word: number for number, word in enumerate(words)}
    found = {}
    for name in _SPECIAL:
        said = options.get(f"{name}_token")
        word = said.get("content") if isinstance(said, dict) else said
        number = known.get(str(word)) if word is not None else config.get(f"{name}_token_id")
        if isinstance(number, int) and not isinstance(number, bool) and 0 <= number < len(words):
            found[name] = number
    return found


def _template(folder: Path) -> str | None:
    path = folder / CHAT_TEMPLATE
    if path.is_file():
        return read_template(path)
    path = folder / OPTIONS
    said = read_object(path).get("chat_template") if path.is_file() else None
    return said if isinstance(said, str) else None


def _part(tree: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = tree.get(name)
    return found if isinstance(found, dict) else {}
