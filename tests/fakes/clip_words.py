"""The words of a CLIP tokenizer in its older files: every byte, every byte at a word's end."""

import json
from pathlib import Path

START, END = "<|startoftext|>", "<|endoftext|>"
MERGES = (("a", "t</w>"), ("c", "at</w>"), ("r", "e"), ("re", "d</w>"))


def byte_letters() -> list[str]:
    """The letters that byte-level tokenizers write bytes as, printable ones as themselves."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in plain]
    return [*map(chr, plain), *(chr(256 + at) for at in range(len(rest)))]


def write_clip_words(folder: Path) -> int:
    """`vocab.json`, `merges.txt` and options; how many words there are."""
    folder.mkdir(parents=True)
    letters = byte_letters()
    words = [*letters, *(f"{letter}</w>" for letter in letters)]
    words += ["".join(pair) for pair in MERGES] + [START, END]
    vocabulary = {word: at for at, word in enumerate(words)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    lines = ["#version: 0.2", *(" ".join(pair) for pair in MERGES)]
    (folder / "merges.txt").write_text("".join(f"{line}\n" for line in lines))
    options = {"bos_token": START, "eos_token": END, "unk_token": END, "pad_token": END,
        "tokenizer_class": "CLIPTokenizer", "model_max_length": 16}  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(options))
    return len(words)
