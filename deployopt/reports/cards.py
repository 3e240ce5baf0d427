"""Graphs for a card that is not here: what is predicted of each, and that none has run.

In: candidates. Out: lines for every rendering.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from deployopt.core.card import CardSummary
from deployopt.core.engine import sm_of
from deployopt.core.evidence import Estimate
from deployopt.core.measurement import CardConditions
from deployopt.core.result import CandidateResult, LatencySummary
from deployopt.core.units import Dimension, show_quantity
from deployopt.reports.layout import heading, listing
from deployopt.reports.markdown_text import escape
from deployopt.reports.words import dimension_of, metric_words, sentences

if TYPE_CHECKING:
    from rich.console import Console

CARDS_TITLE: Final = "On the card: predicted, run nowhere yet"
_SHOWN: Final = ("ttft_p50", "decode_tps_min", "memory_peak")
_SIZE: Final = "artifact_size"
_WIDTH: Final = 18
_DIGITS: Final = 2


def card_lines(candidates: Sequence[CandidateResult]) -> Iterator[tuple[str, str]]:
    """A recipe and what is expected of it; none where nothing was built for a card."""
    for one in candidates:
        if one.card is not None:
            notes = (sentences(note) for note in one.card.notes)
            yield one.recipe, " ".join((_words(one, one.card), *notes))


def print_cards(console: "Console", candidates: Sequence[CandidateResult]) -> None:
    """A heading and a paragraph for each; nothing where there is none."""
    lines = list(card_lines(candidates))
    if lines:
        heading(console, f"{CARDS_TITLE} ({card_words(candidates)})")
        listing(console, lines, _WIDTH)


def cards_markdown(candidates: Sequence[CandidateResult]) -> list[str]:
    """The same as a list."""
    lines = list(card_lines(candidates))
    if not lines:
        return []
    shown = [f"- **{escape(name)}**: {escape(text)}" for name, text in lines]
    return ["", f"#### {CARDS_TITLE} ({escape(card_words(candidates))})", "", *shown]


def card_words(candidates: Sequence[CandidateResult]) -> str:
    """`SM86`."""
    found = (sm_of(c.card.compute_capability) for c in candidates if c.card is not None)
    return next(found, "")


def watched_words(latency: LatencySummary | None) -> str:
    """`clock down to 1,755 MHz, up to 61 °C, held down by power limit`; empty without a card."""
    seen = None if latency is None else latency.card
    if seen is None:
        return ""
    told = (
        None if seen.clock_mhz is None else f"clock down to {seen.clock_mhz:,.0f} MHz",
        None if seen.temperature_c is None else f"up to {seen.temperature_c:.0f} °C",
        None if seen.power_w is None else f"up to {seen.power_w:.0f} W",
        f"held down by {', '.join(seen.reasons)}" if seen.reasons else None,
        _beside(seen),
        None
        if seen.copied_share is None
        else f"copies to it and back up to {seen.copied_share:.0%} of a request",
        _captured(seen),
        "memory by the whole card's rise" if seen.memory_of == "card" else None,
    )
    return ", ".join(part for part in told if part) or "NVML tells nothing of it"


def _beside(seen: CardConditions) -> str | None:
    if not seen.others:
        return None
    share = (
        "" if seen.others_share is None else f" with {seen.others_share:.0%} of its time at most"
    )
    return f"{seen.others} other process{'' if seen.others == 1 else 'es'} on it{share}"


def _captured(seen: CardConditions) -> str | None:
    if seen.captured_share:
        share = "" if seen.captured_share == 1 else f" for {seen.captured_share:.0%} of requests"
        return f"launched as one CUDA graph{share}"
    return f"launched kernel by kernel ({seen.uncaptured})" if seen.uncaptured else None


def _words(one: CandidateResult, card: CardSummary) -> str:
    if card.answer_tokens is None:
        shown = [_figure(name, e) for name, e in one.predicted.items() if name != _SIZE]
        return f"Predicted: {'; '.join(shown) or 'nothing'}."
    whole = "Nothing is predicted of its speed"
    if card.answer_s is not None:
        seconds = show_quantity(card.answer_s, Dimension.TIME, _DIGITS)
        whole = (
            f"Predicted: {card.prompt_tokens} tokens answered with {card.answer_tokens} in "
            f"{seconds}"
        )
    parts = [_figure(name, one.predicted[name]) for name in _SHOWN if name in one.predicted]
    return "; ".join((whole, *parts)) + "."


def _figure(metric: str, estimate: Estimate) -> str:
    dimension = dimension_of(metric) or Dimension.RATE
    value, low, high = (
        show_quantity(amount, dimension, _DIGITS)
        for amount in (estimate.value, estimate.lower, estimate.upper)
    )
    return f"{metric_words(metric)} {value} ({low} to {high})"
