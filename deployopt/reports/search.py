"""A build's search for a person at a terminal of 80 columns: what was timed, trained and ranked.

In: a build that searched, its texts safe already. Out: the section between the candidates and the
verdict. Long lists are cut; the page and the log hold all of them.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from deployopt.core.evidence import Evidence
from deployopt.core.result import BuildResult
from deployopt.core.search import SearchResult, TimedShape, TrainedShape
from deployopt.core.text import safe_text
from deployopt.reports.layout import at_commas, columns, facts, heading, joined, listing, styled
from deployopt.reports.search_words import (
    outcomes_in,
    rungs_of,
    search_facts,
    shapes_in_order,
    short_names,
    show_error,
    show_large,
    show_loss,
    show_ratio_of,
    show_share,
    show_time_of,
)
from deployopt.reports.words import NOTHING, evidence_words, plural, show_count

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_SHAPES: Final = 8
_OF_A_RUNG: Final = 4
_FAILURES: Final = 3
_LAYERS: Final = 5
_SHAPE: Final = 24
_TRAINED: Final = 21
_NODE: Final = 36
_NAME: Final = 160
_LEARNED: Final = ("taught", "trained")
_OUTCOMES: Final[dict[str, str]] = {
    "chosen": "bold green",
    "finalist": "green",
    "promoted": "",
    "over budget": "yellow",
    "beaten": "dim",
    "failed": "red",
}


def print_search(console: "Console", result: BuildResult, search: SearchResult) -> None:
    """Counts first, then the tables, then why the winner won or what came nearest, then the log."""
    heading(console, "Search")
    facts(console, search_facts(result, search))
    if search.shapes:
        _print_shapes(console, search.shapes)
    if search.trainings:
        _print_trainings(console, result, search.trainings)
    if search.layers:
        _print_layers(console, search)
    console.print()
    facts(console, _conclusion(search))
    if search.log:
        line = styled("Log        ", "dim").append(search.log, style="not dim default")
        console.print(line, soft_wrap=True)


def _conclusion(search: SearchResult) -> Iterator[tuple[str, str]]:
    if search.why:
        yield "Why", search.why
    if search.nearest_miss is not None:
        yield "Nearest", search.nearest_miss
    names = ["Relax", *("or" for _ in search.relax)]
    yield from zip(names, search.relax, strict=False)
    yield from (("Note", note) for note in search.notes)


def _print_shapes(console: "Console", shapes: Sequence[TimedShape]) -> None:
    """The fastest ones, each with its ratio to the float model and what became of it."""
    ordered = shapes_in_order(shapes)
    one_form = len({s.form for s in shapes}) == 1
    table = columns(
        ("shape, untrained", _SHAPE),
        ("x float", 7),
        ("bounds", 15),
        (_time_word(shapes), 9),
        ("verdict", 21),
    )
    for shape in ordered[:_SHAPES]:
        ratio, bounds = show_ratio_of(shape)
        name = shape.profile.words if one_form else f"{shape.profile.words}, {shape.form}"
        table.add_row(
            styled(at_commas(name, _SHAPE)),
            styled(ratio),
            styled(bounds or NOTHING, "dim"),
            styled(show_time_of(shape)),
            styled(shape.verdict or NOTHING, "" if shape.verdict in _LEARNED else "dim"),
        )
    console.print()
    console.print(table)
    _more(console, len(ordered) - _SHAPES)
    console.print(styled(f"  {_footing(shapes, one_form=one_form)}", "dim"))


def _time_word(shapes: Sequence[TimedShape]) -> str:
    if all(s.evidence is Evidence.TARGET for s in shapes):
        return "latency"
    return "predicted" if any(s.predicted_s is not None for s in shapes) else "here"


def _footing(shapes: Sequence[TimedShape], *, one_form: bool) -> str:
    """`all in int8 · measured here (proxy) · 5 rounds each`."""
    kinds = dict.fromkeys(evidence_words(s.evidence) for s in shapes)
    rounds = {s.rounds for s in shapes}
    fewest, most = min(rounds), max(rounds)
    each = plural(most, "round") if fewest == most else f"{fewest} to {plural(most, 'round')}"
    form = [f"all in {shapes[0].form}"] if one_form else []
    return " · ".join((*form, ", ".join(kinds), f"{each} each"))


def _print_trainings(
    console: "Console", result: BuildResult, trainings: Sequence[TrainedShape]
) -> None:
    """The best of each rung, and why others failed."""
    table = columns(
        ("rung", 4),
        ("shape", _TRAINED),
        ("epochs", 6),
        ("agrees", 7),
        ("loss", 8),
        ("bounds", 17),
        ("outcome", 11),
    )
    outcome_of = outcomes_in(result)
    for rung, group in rungs_of(trainings):
        for place, training in enumerate(group[:_OF_A_RUNG]):
            row = _training_row(training, outcome_of(training))
            table.add_row(str(rung) if place == 0 else "", *row)
        if len(group) > _OF_A_RUNG:
            table.add_row("", styled(f"and {show_count(len(group) - _OF_A_RUNG)} more", "dim"))
    console.print()
    console.print(table)
    failed = [t for t in trainings if t.failure is not None]
    if failed:
        console.print()
        listing(console, ((t.recipe, t.failure or "") for t in failed[:_FAILURES]), 20)
        _more(console, len(failed) - _FAILURES)


def _training_row(training: TrainedShape, word: str) -> "list[Text]":
    loss, bounds = show_loss(training)
    return [
        styled(at_commas(training.profile.words, _TRAINED)),
        styled(str(training.epochs)),
        styled(show_share(training.agreement)),
        styled(loss),
        styled(bounds or NOTHING, "dim"),
        styled(word, _OUTCOMES[word]),
    ]


def _print_layers(console: "Console", search: SearchResult) -> None:
    """The most sensitive ones: what quantizing each alone does to the answers."""
    start, names = short_names(search.layers)
    table = columns(
        ("most sensitive layers", _NODE),
        ("operator", 10),
        ("weights", 7),
        ("error", 8),
        ("changed", 8),
        ("kept", 6),
    )
    for layer, name in [*zip(search.layers, names, strict=True)][:_LAYERS]:
        table.add_row(
            styled(joined(safe_text(name, _NAME).split("/"), "/", _NODE)),
            styled(safe_text(layer.operator, 20)),
            styled(show_large(layer.weights)),
            styled(show_error(layer.error)),
            styled(show_share(layer.changed)),
            styled("float" if layer.kept_float else "", "yellow"),
        )
    console.print()
    console.print(table)
    _more(console, len(search.layers) - _LAYERS)
    if start:
        console.print(styled(f"  names begin with {safe_text(start, 60)}", "dim"))


def _more(console: "Console", number: int) -> None:
    if number > 0:
        console.print(styled(f"  and {show_count(number)} more in the page and in the log", "dim"))
