"""Small tokenizers of every kind of model, with most of the parts that a file can name."""

import json
from typing import Any, Final

_WORDS: Final = (
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "a",
    "b",
    "ab",
    "##b",
    "▁a",
    "▁film",
    "Ġa",
    "c",
)
_SEQUENCE: Final = {
    "type": "Sequence",
    "normalizers": [
        {"type": "NFKC"}, {"type": "Lowercase"}, {"type": "StripAccents"},
        {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
        {"type": "Prepend", "prepend": "▁"},
        {"type": "Strip", "strip_left": True, "strip_right": True},
    ],
}  # fmt: skip
_SPLITS: Final = {
    "type": "Sequence",
    "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": "\\s+(?!\\S)|\\S+"}, "behavior": "Isolated",
            "invert": False},
        {"type": "Digits", "individual_digits": True},
        {"type": "Punctuation", "behavior": "Isolated"},
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
    ],
}  # fmt: skip
_TEMPLATE: Final = {
    "type": "TemplateProcessing",
    "single": [
        {"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
    ],
    "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
    "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]}},
}  # fmt: skip


def tokenizers() -> dict[str, bytes]:
    """By file name; what stands behind `#` only tells them apart."""
    vocabulary = {word: at for at, word in enumerate(_WORDS)}
    pieces = [[word, -float(at)] for at, word in enumerate(_WORDS)]
    whole = {"type": "WordPiece", "vocab": vocabulary, "unk_token": "[UNK]",
        "continuing_subword_prefix": "##", "max_input_chars_per_word": 100}  # fmt: skip
    merging = {"type": "BPE", "vocab": vocabulary, "merges": [["a", "b"]], "dropout": None,
        "unk_token": "[UNK]", "continuing_subword_prefix": None, "end_of_word_suffix": None,
        "fuse_unk": False, "byte_fallback": False, "ignore_merges": False}  # fmt: skip
    bert = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
        "strip_accents": None, "lowercase": True}  # fmt: skip
    space = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    made = {
        "wordpiece": _file(whole, bert, {"type": "BertPreTokenizer"}),
        "bpe": _file(merging, None, _SPLITS),
        "unigram": _file({"type": "Unigram", "unk_id": 1, "vocab": pieces, "byte_fallback": False},
            _SEQUENCE, space),
    }  # fmt: skip
    return {f"tokenizer.json#{name}": json.dumps(tree).encode() for name, tree in made.items()}


def _file(model: Any, normalizer: Any, splits: Any) -> dict[str, Any]:
    added = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {
        "version": "1.0",
        "truncation": {"direction": "Right", "max_length": 16, "strategy": "LongestFirst",
            "stride": 0},
        "padding": {"strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": None,
            "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"},
        "added_tokens": [{"id": 0, "content": "[PAD]", "special": True} | added],
        "normalizer": normalizer,
        "pre_tokenizer": splits,
        "post_processor": _TEMPLATE,
        "decoder": {"type": "ByteFallback"},
        "model": model,
    }  # fmt: skip
