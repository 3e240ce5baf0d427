"""GitHub Markdown's parts: marks, tables, and text that stays text."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

ICONS: Final = {"accepted": "✅", "provisional": "🟡", "undecided": "❔", "rejected": "❌"}
_MARKUP: Final = re.compile(r"([\\`*_{}\[\]()!|~$+])")
# An empty comment keeps a mention, a reference or an address from being made a link.
_LINKS: Final = (
    (re.compile(r"([@#])"), r"\1<!-- -->"),
    (re.compile(r"(?i)\bwww\."), "www<!-- -->."),
    (re.compile(r"://"), ":<!-- -->//"),
)


def escape(text: str) -> str:
    """Text that Markdown shows as it is."""
    text = _MARKUP.sub(r"\\\1", text.replace("&", "&amp;").replace("<", "&lt;"))
    text = text.replace(">", "&gt;")
    for pattern, replacement in _LINKS:
        text = pattern.sub(replacement, text)
    return text


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The lines of a table; cells are Markdown already."""
    yield f"| {' | '.join(head)} |"
    yield f"|{'|'.join(' --- ' for _ in head)}|"
    for row in rows:
        yield f"| {' | '.join(row)} |"
