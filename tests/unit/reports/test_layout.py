"""Nothing is wider than a terminal, and nothing to copy is broken."""

import io

from rich.console import Console

from deployopt.reports.layout import (
    at_commas,
    columns,
    command,
    facts,
    joined,
    listing,
    stderr_console,
    styled,
)


def console() -> Console:
    return Console(file=io.StringIO(), width=80, highlight=False, markup=False)


def text_of(made: Console) -> str:
    assert isinstance(made.file, io.StringIO)
    return made.file.getvalue()


def test_a_recipe_ends_its_lines_between_its_parts() -> None:
    name = "4 layers, ffn 25 %, heads 50 %, int8"
    assert at_commas(name, 19) == "4 layers, ffn 25 %\nheads 50 %, int8"
    assert at_commas(name, 60) == name
    made = console()
    listing(made, [(name, "told")], 19)
    assert [x[:20].rstrip() for x in text_of(made).splitlines()] == [
        "  4 layers, ffn 25 %",
        "  heads 50 %, int8",
    ]


def test_items_are_never_torn() -> None:
    lines = joined(["latency p95 ≤ 60 ms"] * 9, " · ", 50).splitlines()
    assert all(len(line) <= 50 for line in lines)
    assert "".join(lines).count("latency p95 ≤ 60 ms") == 9


def test_a_command_stays_on_one_line() -> None:
    made = console()
    command(made, "deployopt verify /" + "long/" * 40)
    assert text_of(made).count("\n") == 1


def test_facts_and_listings_wrap_at_their_own_edge() -> None:
    made = console()
    facts(made, [("Fits", "word " * 40)])
    listing(made, [("a-very-long-name-without-a-space", "word " * 40)], 14)
    lines = text_of(made).splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert lines[1].startswith(" " * 11 + "word")


def test_markup_is_text() -> None:
    made = console()
    table = columns(("a", 40))
    table.add_row(styled("[bold]x[/bold] :smile:"))
    made.print(table)
    assert "[bold]x[/bold] :smile:" in text_of(made)


def test_the_console_writes_to_stderr_and_is_plain_when_nobody_looks() -> None:
    made = stderr_console()
    assert made.stderr
    assert made.width == 80
    assert made.color_system is None
