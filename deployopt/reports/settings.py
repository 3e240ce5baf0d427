"""A language model by length of prompt and by batch: one row measured, one predicted, a setting.

In: the settings of a build's chosen candidate. Out: rows for every rendering, and a table for the
terminal. The second row is what the plan's model says of the target.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from deployopt.core.answer_settings import SettingSummary
from deployopt.core.evidence import Estimate, Evidence
from deployopt.core.figure import Figure
from deployopt.core.units import Dimension, show_quantity
from deployopt.reports.layout import columns, footnotes, heading, styled
from deployopt.reports.markdown_text import escape, table
from deployopt.reports.words import (
    NOTHING,
    evidence_words,
    plural,
    sentences,
    show_count,
    show_figure,
)

if TYPE_CHECKING:
    from rich.console import Console

HEADS: Final = ("prompt", "batch", "first token", "a token", "tokens/s", "memory")
_WIDTHS: Final = (6, 5, 18, 17, 11, 15)
_ALL: Final = 0.999
_SURE_DIGITS: Final = 2


def settings_title(settings: Sequence[SettingSummary]) -> str:
    """What the table is of, and where it was measured."""
    return f"By length of prompt and by batch, {evidence_words(_evidence(settings))}"


def settings_rows(settings: Sequence[SettingSummary]) -> Iterator[tuple[bool, tuple[str, ...]]]:
    """Whether it is predicted, and a text a column; times are medians, then the 95th percentile."""
    for one in settings:
        asked = one.setting
        yield False, (show_count(asked.prompt_tokens), str(asked.batch), *_measured(one))
        if one.predicted:
            yield True, ("", "", *_predicted(one))


def settings_notes(settings: Sequence[SettingSummary]) -> list[str]:
    """What has to be known of them, whole sentences."""
    answer = settings[0].setting.answer_tokens
    notes = [
        f"Answers of {answer} tokens, one process a row: figures without bounds, no verdict.",
        "Times are medians and, of 20 or more, 95th percentiles.",
    ]
    if any(one.setting.batch > 1 for one in settings):
        notes.append("Of a batch: first token of every row, tokens a second of all rows.")
    if any(one.predicted for one in settings):
        notes.append("Bands are what was predicted of the target.")
    apart = [one for one in settings if one.alike is not None and one.alike < _ALL]
    if apart:
        least = min(one.alike or 0.0 for one in apart)
        notes.append(
            f"In a batch this form gives a text other tokens than alone ({least:.0%} are the "
            "same at worst): its products are quantized by all that goes in together."
        )
    spent = [
        f"{show_figure(one.energy_token, Dimension.ENERGY)} ({one.setting.words})"
        for one in settings
        if one.energy_token is not None
    ]
    notes += [f"Energy a token of the answers: {', '.join(spent)}."] if spent else []
    notes += [sentences(f"{one.setting.words}: {one.note}") for one in settings if _left_out(one)]
    disturbed = [one for one in settings if one.note and not _left_out(one)]
    if disturbed:
        rows = f"{len(disturbed)} of {plural(len(settings), 'row')}"
        notes.append(sentences(f"{rows} would not count in a judgement, e.g.: {disturbed[0].note}"))
    return notes


def print_settings(console: "Console", settings: Sequence[SettingSummary]) -> None:
    """The table at 80 columns, and its notes."""
    if not settings:
        return
    heading(console, settings_title(settings))
    grid = columns(*zip(HEADS, _WIDTHS, strict=True))
    for predicted, row in settings_rows(settings):
        shown = ("", "", *row[2:]) if predicted else row
        grid.add_row(*(styled(text, "dim" if predicted else "") for text in shown))
    console.print(grid)
    footnotes(console, settings_notes(settings))


def settings_lines(settings: Sequence[SettingSummary]) -> Iterator[str]:
    """As Markdown: each figure over the band that was predicted of it."""
    yield f"{settings_title(settings)}:"
    yield ""
    rows: list[list[str]] = []
    for predicted, row in settings_rows(settings):
        if not predicted:
            rows.append(list(row))
            continue
        rows[-1] = [
            f"{text}<br><sub>predicted {band}</sub>" if band else text
            for text, band in zip(rows[-1], row, strict=True)
        ]
    yield from table(HEADS, rows)
    yield ""
    yield from (f"- {escape(note)}" for note in settings_notes(settings))


def _measured(one: SettingSummary) -> tuple[str, ...]:
    if _left_out(one):
        return ("left out", NOTHING, NOTHING, NOTHING)
    return (
        _pair(one.first_token, one.first_token_tail),
        _pair(one.token_s, one.token_tail_s),
        show_figure(one.decode_tps, Dimension.TOKEN_RATE).removesuffix(" tok/s"),
        show_figure(one.memory, Dimension.SIZE),
    )


def _predicted(one: SettingSummary) -> tuple[str, ...]:
    found = one.predicted
    return (
        _band(found.get("ttft_s"), Dimension.TIME),
        "",
        _band(found.get("decode_tps"), Dimension.TOKEN_RATE).removesuffix(" tok/s"),
        _band(found.get("memory_peak"), Dimension.SIZE),
    )


def _pair(middle: Figure | None, tail: Figure | None) -> str:
    """`75.0 ms, 80.2 ms`."""
    if middle is None:
        return NOTHING
    shown = show_figure(middle, Dimension.TIME)
    return shown if tail is None else f"{shown}, {show_figure(tail, Dimension.TIME)}"


def _band(estimate: Estimate | None, dimension: Dimension) -> str:
    """`48 to 300 ms`: to the two digits that a prediction is sure of."""
    if estimate is None:
        return NOTHING
    low, high = (
        show_quantity(value, dimension, _SURE_DIGITS) for value in (estimate.lower, estimate.upper)
    )
    unit = high.rpartition(" ")[2]
    return f"{low.removesuffix(f' {unit}')} to {high}"


def _left_out(one: SettingSummary) -> bool:
    return one.first_token is None


def _evidence(settings: Sequence[SettingSummary]) -> Evidence | None:
    return next((s.first_token.evidence for s in settings if s.first_token is not None), None)
