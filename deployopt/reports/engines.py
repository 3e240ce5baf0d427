"""Engines that were built for a card that is not here: what is in each, and that none has run.

In: candidates with an engine. Out: lines for every rendering.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from deployopt.core.engine import EngineSummary, sm_of
from deployopt.core.result import CandidateResult
from deployopt.core.units import Dimension, show_quantity
from deployopt.reports.layout import heading, listing
from deployopt.reports.markdown_text import escape
from deployopt.reports.words import plural, sentences

if TYPE_CHECKING:
    from rich.console import Console

TITLE: Final = "Engines: built here, run nowhere yet"
_WIDTH: Final = 18


def engine_lines(candidates: Sequence[CandidateResult]) -> Iterator[tuple[str, str]]:
    """A recipe and what its engine is; none where nothing was built for a card."""
    for one in candidates:
        if one.engine is not None:
            notes = (sentences(note) for note in one.engine.notes)
            yield one.recipe, " ".join((engine_words(one.engine), *notes))


def engine_words(engine: EngineSummary) -> str:
    """`Engine for SM86: 66 layers, 61 fp16 and 5 integer; …`."""
    counts = [f"{count} {name}" for name, count in engine.precisions.items()]
    layers = f"{plural(engine.layers, 'layer')}, {', '.join(counts)}"
    if not engine.layers:
        layers = "the builder listed no layers"
    memory = [
        f"{name} {show_quantity(size, Dimension.SIZE)}"
        for name, size in (
            ("weights", engine.weights_bytes),
            ("work memory", engine.activation_bytes),
            ("workspace at most", engine.workspace_bytes),
        )
        if size is not None
    ]
    shapes = "; ".join(_range_words(engine)) or "of fixed shapes"
    return (
        f"Engine for {sm_of(engine.compute_capability)}: {layers}; {', '.join(memory)}. "
        f"Requests: {shapes}."
    )


def print_engines(console: "Console", candidates: Sequence[CandidateResult]) -> None:
    """A heading and a paragraph for each; nothing where there is none."""
    lines = list(engine_lines(candidates))
    if lines:
        heading(console, f"{TITLE} ({builder_words(candidates)})")
        listing(console, lines, _WIDTH)


def engines_markdown(candidates: Sequence[CandidateResult]) -> list[str]:
    """The same as a list."""
    lines = list(engine_lines(candidates))
    if not lines:
        return []
    shown = [f"- **{escape(name)}**: {escape(text)}" for name, text in lines]
    return ["", f"#### {TITLE} ({escape(builder_words(candidates))})", "", *shown]


def builder_words(candidates: Sequence[CandidateResult]) -> str:
    """`tensorrt-rtx-cu13 1.7.1.116`."""
    found = (f"{c.engine.builder} {c.engine.version}" for c in candidates if c.engine is not None)
    return next(found, "")


def _range_words(engine: EngineSummary) -> Iterator[str]:
    """Inputs of the same shapes are named once."""
    names: dict[tuple[tuple[int, ...], ...], list[str]] = {}
    for one in engine.profile:
        names.setdefault((one.least, one.usual, one.most), []).append(one.name)
    for (least, usual, most), inputs in names.items():
        sizes = _size(least) if least == most else f"{_size(least)} to {_size(most)}"
        yield f"{', '.join(inputs)} {sizes}" + (
            "" if least == most else f", best at {_size(usual)}"
        )


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
