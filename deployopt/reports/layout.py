"""How the terminal is laid out: one console, facts as name and text, tables of fixed columns.

Everything is made for 80 columns. Text goes in as plain strings: markup in a model's name is text.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from deployopt.core.text import safe_text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

WIDTH: Final = 80
STYLES: Final[dict[str, str]] = {
    "accepted": "bold green",
    "provisional": "bold yellow",
    "undecided": "bold yellow",
    "rejected": "bold red",
}
_FACT: Final = 9
_NAME: Final = 80
FACT_WIDTH: Final = WIDTH - _FACT - 2


def stderr_console() -> "Console":
    """Where people's text goes; plain when not a terminal or under NO_COLOR."""
    from rich.console import Console

    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    console.width = max(WIDTH, min(console.width, WIDTH + 20)) if console.is_terminal else WIDTH
    return console


def styled(text: str, style: str = "") -> "Text":
    """A piece of text as it is."""
    from rich.text import Text

    return Text(text, style=style)


def heading(console: "Console", text: str) -> None:
    """An empty line, and the name of what follows."""
    console.print()
    console.print(styled(text, "bold"))


def facts(console: "Console", pairs: Iterable[tuple[str, str]]) -> None:
    """Names at the left, sentences wrapped at their own left edge."""
    from rich.table import Table

    grid = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    grid.add_column(width=_FACT, overflow="fold")
    grid.add_column(width=FACT_WIDTH, overflow="fold")
    for name, text in pairs:
        grid.add_row(styled(name, "dim"), styled(text))
    console.print(grid)


def footnotes(console: "Console", notes: Iterable[str]) -> None:
    """Sentences under a table, indented and dim, each from a new line."""
    for note in notes:
        for line in joined(note.split(" "), " ", WIDTH - 2).splitlines():
            console.print(styled(f"  {line}", "dim"))


def listing(console: "Console", pairs: Iterable[tuple[str, str]], width: int) -> None:
    """The same, indented, for notes under a table whose first column is `width` wide."""
    from rich.table import Table

    grid = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    grid.add_column(width=width + 2, overflow="fold")
    grid.add_column(width=WIDTH - width - 4, overflow="fold")
    for name, text in pairs:
        grid.add_row(_indented(name, width), styled(text, "dim"))
    console.print(grid)


def _indented(name: str, width: int) -> "Text":
    if " " not in name:
        lines = [name[k : k + width] for k in range(0, len(name), width)]
    else:
        parts = name.split(", ")
        fits = all(len(part) <= width for part in parts)
        words = joined(parts, ", ", width) if fits else joined(name.split(" "), " ", width)
        lines = words.splitlines()
    return styled("\n".join(f"  {line}" for line in lines))


def at_commas(name: str, width: int) -> str:
    """A recipe's name in lines that end between its parts: `4 layers, ffn 50 %` over `int8`."""
    return joined(safe_text(name, _NAME).split(", "), ", ", width)


def joined(items: Iterable[str], separator: str, width: int) -> str:
    """Items in lines of at most `width`, none of them torn apart."""
    lines: list[str] = []
    for item in items:
        longer = f"{lines[-1]}{separator}{item}" if lines else item
        if lines and len(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(item)
    return "\n".join(lines)


def columns(*named: tuple[str, int]) -> "Table":
    """A table without a frame: (heading, width) of each column, a gap of one between them."""
    from rich.box import Box
    from rich.table import Table

    line_under_head = Box("    \n    \n ── \n    \n    \n    \n    \n    \n")
    table = Table(
        box=line_under_head,
        padding=0,
        pad_edge=False,
        show_edge=False,
        header_style="dim",
        border_style="dim",
    )
    for name, width in named:
        table.add_column(name, width=width, overflow="fold")
    return table


def command(console: "Console", text: str) -> None:
    """A line to copy: alone, unbroken whatever its length."""
    console.print(styled(text, "bold cyan"), soft_wrap=True)
