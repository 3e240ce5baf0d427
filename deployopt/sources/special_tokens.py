"""What a folder says of its tokenizer's special tokens."""

from collections.abc import Mapping


def text_option(options: Mapping[str, object], name: str, default: str) -> str:
    """A special token, written as a text or as an object with its content."""
    value = options.get(name, default)
    if isinstance(value, dict):
        value = value.get("content", default)
    return value if isinstance(value, str) else default
