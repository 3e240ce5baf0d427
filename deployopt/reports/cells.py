"""What a row of the candidates' table holds, for classifiers and for language models.

In: a candidate. Out: a cell a column, each with its value, what is said under it, and its evidence.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from deployopt.core.evidence import Evidence
from deployopt.core.figure import Figure
from deployopt.core.result import CandidateResult
from deployopt.core.units import Dimension
from deployopt.reports.words import (
    loss_words,
    show_figure,
    show_interval,
    show_ratio,
    show_times_bounds,
    tail_word,
)

RECIPE: Final = 19
_LANGUAGE_RECIPE: Final = 12


class Cell(NamedTuple):
    """One number of a candidate; `name` stands for its column where evidence is said once."""

    name: str
    figure: Figure | None
    dimension: Dimension
    notes: tuple[str, ...] = ()

    @property
    def lines(self) -> list[str]:
        """The value, its bounds where there are some, and the notes."""
        bounds = "" if self.figure is None else show_interval(self.figure, self.dimension)
        under = [bounds.removesuffix(" tok/s"), *self.notes]
        value = show_figure(self.figure, self.dimension).removesuffix(" tok/s")
        return [value, *(line for line in under if line)]

    @property
    def evidence(self) -> Evidence | None:
        """Where the number comes from."""
        return None if self.figure is None else self.figure.evidence


def generates(candidates: Sequence[CandidateResult]) -> bool:
    """Whether they are of a language model."""
    return any(c.generation is not None or c.scores is not None for c in candidates)


def heads(candidates: Sequence[CandidateResult]) -> tuple[tuple[str, int], ...]:
    """The columns with their widths, the recipe's first; with a mark before them 80 at most."""
    if generates(candidates):
        tail = next((c.generation.quantile for c in candidates if c.generation), None)
        return (
            ("recipe", _LANGUAGE_RECIPE),
            ("NLL increase", 15),
            (first_token_head(tail), 15),
            ("tokens/s", 14),
            ("memory", 8),
            ("size", 8),
        )
    loss = next((loss_words(c.accuracy) for c in candidates if c.accuracy), "accuracy lost")
    tail_name = next((tail_word(c.latency) for c in candidates if c.latency), "")
    return (
        ("recipe", RECIPE),
        (loss, 17),
        (f"latency {tail_name}".strip(), 22),
        ("memory", 8),
        ("size", 8),
    )


def first_token_head(quantile: float | None) -> str:
    """`first token p95`."""
    return "first token" if quantile is None else f"first token p{quantile * 100:g}"


def cells(item: CandidateResult, *, language: bool) -> tuple[Cell, ...]:
    """One for each of `heads` but the recipe."""
    last = (
        Cell("memory", item.memory, Dimension.SIZE),
        Cell("size", item.size, Dimension.SIZE),
    )
    return (*(_of_language(item) if language else _of_classifier(item)), *last)


def _of_classifier(item: CandidateResult) -> tuple[Cell, ...]:
    loss = item.accuracy.loss if item.accuracy else None
    tail = item.latency.tail if item.latency else None
    ratio = item.latency.ratio if item.latency else None
    notes: tuple[str, ...] = ()
    if ratio is not None:
        bounds = show_times_bounds(ratio.lower, ratio.upper)
        notes = (f"{bounds} x float" if bounds else f"{show_ratio(ratio)} float",)
    return (
        Cell("accuracy", loss, Dimension.SHARE),
        Cell("latency", tail, Dimension.TIME, notes),
    )


def _of_language(item: CandidateResult) -> tuple[Cell, ...]:
    scores, generation = item.scores, item.generation
    agreed: tuple[str, ...] = ()
    if scores is not None and scores.agreement.value is not None:
        agreed = (f"{scores.agreement.value:.1%} agree".replace("%", " %"),)
    if item.accuracy is not None:
        agreed = (*agreed, f"{show_figure(item.accuracy.loss, Dimension.SHARE)} lost")
    return (
        Cell("quality", scores.increase if scores else None, Dimension.PERCENT, agreed),
        Cell("first token", generation.first_token_tail if generation else None, Dimension.TIME),
        Cell(
            "tokens/s",
            generation.decode_tps if generation else None,
            Dimension.TOKEN_RATE,
            faster_words(item),
        ),
    )


def faster_words(item: CandidateResult) -> tuple[str, ...]:
    """`2.51 x float`: how many tokens it gives in the time of the float one's first, if known."""
    ratio = item.generation.ratio if item.generation else None
    if ratio is None or not ratio.value:
        return ()
    return (f"{1.0 / ratio.value:.2f} x float",)
