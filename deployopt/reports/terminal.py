"""A build, a plan or a verification for a person at a terminal of 80 columns, on stderr.

In: a result record. Out: text; the verdict and the command to copy come last, where the eye is.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from deployopt.core.budget import Budget
from deployopt.core.evidence import Estimate
from deployopt.core.plan import Forecast, Plan
from deployopt.core.result import (
    BuildResult,
    PlanResult,
    StageTime,
    VerifyResult,
)
from deployopt.core.text import safe_record, safe_text
from deployopt.core.units import Dimension, show_quantity
from deployopt.core.verdict import Verdict
from deployopt.reports.batches import print_batches
from deployopt.reports.candidates import print_candidates, print_checks
from deployopt.reports.cards import print_cards, watched_words
from deployopt.reports.cells import generates
from deployopt.reports.comparison import print_baseline
from deployopt.reports.copies import print_copies
from deployopt.reports.engines import print_engines
from deployopt.reports.foreseen import foreseen
from deployopt.reports.layout import (
    FACT_WIDTH,
    STYLES,
    WIDTH,
    columns,
    command,
    facts,
    heading,
    joined,
    listing,
    stderr_console,
    styled,
)
from deployopt.reports.questioning import questions_words
from deployopt.reports.search import print_search
from deployopt.reports.settings import print_settings
from deployopt.reports.signing import authenticity_words
from deployopt.reports.verified import verify_figures
from deployopt.reports.words import (
    NOTHING,
    budget_words,
    dimension_of,
    evidence_words,
    machine_words,
    metric_words,
    plural,
    show,
    show_count,
    show_interval,
    show_limit,
    stage_words,
    verdict_words,
    where_words,
)

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_METRIC: Final = 14
_SURE_DIGITS: Final = 2
_PROVISIONAL_EXIT: Final = "To let a script take a provisional bundle: --accept-predicted"


def print_build(result: BuildResult, console: "Console | None" = None) -> None:
    """What was asked, what was tried, what the gate says, where the bundle is, what settles it."""
    console = console or stderr_console()
    result = safe_record(result)
    title = result.target_title or result.target
    console.print(styled(safe_text(f"{result.model} for {title}", 78), "bold"))
    facts(console, _build_facts(result))
    _print_tried(console, result)
    print_settings(console, result.settings)
    if result.verdict is not None:
        _print_verdict(console, result.verdict, result.chosen.predicted if result.chosen else {})
    elif not result.plan.fits:
        heading(console, "Cannot fit")
        console.print(result.plan.fit_reason)
    if result.baseline is not None:
        print_baseline(console, result.baseline)
    for title, line in (
        ("Bundle", result.bundle),
        ("Report", result.page),
        ("What the device needs first", result.install),
        ("To settle on the device what is only predicted here", result.settle),
    ):
        if line is not None:
            heading(console, title)
            command(console, line)
    _print_end(console, result.stages, result.exit_code)
    if result.verdict is not None and result.verdict.provisional and not result.accept_predicted:
        console.print(styled(_PROVISIONAL_EXIT, "dim"))


def _print_tried(console: "Console", result: BuildResult) -> None:
    if result.candidates:
        heading(console, "Candidates")
        print_candidates(console, result.candidates)
        print_engines(console, result.candidates)
        print_cards(console, result.candidates)
    if result.search is not None:
        print_search(console, result, result.search)


def print_error(error: Exception, console: "Console | None" = None) -> None:
    """One paragraph, never broken inside a path or a command; a list keeps its lines."""
    console = console or stderr_console()
    head = styled("error: ", "bold red")
    for line in str(error).splitlines() or [type(error).__name__]:
        console.print(head.append(safe_text(line), style="not bold default"), soft_wrap=True)
        head = styled("")


def print_warning(text: str, console: "Console | None" = None) -> None:
    """One paragraph about what went wrong beside the result."""
    console = console or stderr_console()
    head = styled("warning: ", "bold yellow")
    console.print(head.append(safe_text(text), style="not bold default"), soft_wrap=True)


def print_verify(result: VerifyResult, console: "Console | None" = None) -> None:
    """What this machine is, what was measured on it, and what the gate says."""
    console = console or stderr_console()
    result = safe_record(result)
    console.print(styled(safe_text(f"{result.name}, built for {result.target}", 78), "bold"))
    facts(console, _verify_facts(result))
    heading(console, "Measured")
    table = columns(("metric", 16), ("value", 10), ("bounds", 18), ("evidence", 22))
    for name, dimension, figure in verify_figures(result):
        table.add_row(
            styled(name),
            styled(show(figure.value, dimension)),
            styled(show_interval(figure, dimension) or NOTHING),
            styled(evidence_words(figure.evidence), "dim"),
        )
    console.print(table)
    print_batches(console, result.batches)
    print_copies(console, result)
    _print_verdict(console, result.verdict, result.predicted)
    if result.written is not None:
        heading(console, "Written to")
        command(console, result.written)
    if result.settle is not None:
        heading(console, "To settle it")
        command(console, result.settle)
    _print_end(console, result.stages, result.exit_code)


def print_plan(result: PlanResult, console: "Console | None" = None) -> None:
    """What would be tried and what is expected of it; nothing has been built."""
    console = console or stderr_console()
    plan = safe_record(result.plan)
    console.print(styled(safe_text(f"{plan.model} for {plan.target.title}", 78), "bold"))
    facts(console, _plan_facts(plan, safe_record(result.warnings)))
    if not plan.forecasts:
        return
    heading(console, "Recipes that would be tried; every number is predicted")
    print_forecasts(console, plan)
    console.print()
    listing(console, ((f.recipe, _outlook(f)) for f in plan.forecasts), 18)
    whole = (e.basis for f in plan.forecasts for e in f.estimates.values())
    bases = dict.fromkeys(part for basis in whole for part in basis.split("; "))
    if bases:
        heading(console, "What the predictions rest on")
        for basis in bases:
            console.print(styled(basis, "dim"))


def _outlook(forecast: Forecast) -> str:
    if forecast.hopeless is None:
        return forecast.reason
    return f"{forecast.reason}; hopeless: {forecast.hopeless}"


def print_forecasts(console: "Console", plan: Plan) -> None:
    """A row for each recipe and metric: value, band, and the budget it is held against."""
    limits = {b.metric: b for b in plan.budgets}
    table = columns(
        ("recipe", 18), ("metric", 14), ("predicted", 9), ("band", 17), ("budget", 9), ("", 8)
    )
    for forecast in plan.forecasts:
        name = safe_text(forecast.recipe, 54)
        for metric, estimate in forecast.estimates.items():
            dimension = dimension_of(metric)
            budget = limits.get(metric)
            table.add_row(
                styled(name),
                styled(safe_text(metric_words(metric), 40)),
                styled(_predicted(estimate.value, dimension)),
                styled(_band(estimate, dimension)),
                styled(show_limit(budget.limit, dimension) if budget else NOTHING),
                _standing(estimate.lower, estimate.upper, budget),
            )
            name = ""
    console.print(table)


def _predicted(value: float, dimension: Dimension | None) -> str:
    """Times to the two digits that a prediction is sure of; bytes follow from counts."""
    if dimension is Dimension.TIME:
        return show_quantity(value, dimension, _SURE_DIGITS)
    return show(value, dimension)


def _band(estimate: Estimate, dimension: Dimension | None) -> str:
    """`30 to 88 ms`, `980 ms to 2.8 s`."""
    if dimension is not Dimension.TIME:
        return show_interval(estimate, dimension)
    low, high = (_predicted(value, dimension) for value in (estimate.lower, estimate.upper))
    unit = high.rpartition(" ")[2]
    return f"{low.removesuffix(f' {unit}')} to {high}"


def _standing(lower: float, upper: float, budget: Budget | None) -> "Text":
    if budget is None:
        return styled("")
    if budget.allows(budget.worse(lower, upper)):
        return styled("inside", "green")
    if not budget.allows(budget.better(lower, upper)):
        return styled("outside", "red")
    return styled("unsure", "yellow")


def _build_facts(result: BuildResult) -> Iterator[tuple[str, str]]:
    yield "Target", result.target
    yield "Budgets", _budgets(result.budgets)
    yield "Fits", f"{'yes' if result.plan.fits else 'no'}: {result.plan.fit_reason}"
    if result.data is not None:
        sizes = ", ".join(f"{show_count(n)} {name}" for name, n in result.data.splits.items())
        noun = "documents" if generates(result.candidates) else "examples"
        yield "Data", f"{result.data.name}: {sizes} {noun}"
        yield from (("", note) for note in result.data.notes)
    if result.questions is not None:
        told = tuple(questions_words(result))
        yield from zip(("Questions", *([""] * (len(told) - 1))), told, strict=True)
    yield from _examples(result.plan.gate_examples, result.plan.gate_examples_needed)
    yield where_words(result.device), machine_words(result.machine)
    watched = watched_words(None if result.chosen is None else result.chosen.latency)
    if watched:
        yield "Card", watched
    if result.device is not None:
        yield "Reached", result.device
    yield from (("Warning", warning) for warning in result.warnings)


def _verify_facts(result: VerifyResult) -> Iterator[tuple[str, str]]:
    yield "Machine", machine_words(result.machine)
    watched = watched_words(result.latency)
    if watched:
        yield "Card", watched
    if result.device is not None:
        yield "Reached", result.device
    other = f"no: {result.mismatch}" if result.mismatch else "no"
    yield "Is target", "yes" if result.on_target else other
    yield "Budgets", _budgets(result.budgets)
    yield "Bundle", result.bundle_digest
    yield "Signature", authenticity_words(result.authenticity)
    yield from (("Warning", warning) for warning in result.warnings)


def _plan_facts(plan: Plan, warnings: Sequence[str]) -> Iterator[tuple[str, str]]:
    yield "Target", plan.target.name
    yield "Budgets", _budgets(plan.budgets)
    yield "Fits", f"{'yes' if plan.fits else 'no'}: {plan.fit_reason}"
    yield from _examples(plan.gate_examples, plan.gate_examples_needed)
    if plan.build_s is not None:
        low, high = (float(f"{s:.2g}") for s in (plan.build_s.lower, plan.build_s.upper))
        wait = f"{show(low, Dimension.TIME)} to {show(high, Dimension.TIME)}"
        yield "Building", f"takes about {wait} here, downloads apart"
    yield from (("Warning", w) for w in dict.fromkeys((*plan.warnings, *warnings)))


def _examples(there: int | None, needed: int | None) -> Iterator[tuple[str, str]]:
    """What the accuracy budget takes; where there is too little, a warning says so instead."""
    if needed is None or (there is not None and there < needed):
        return
    have = "" if there is None else f", {show_count(there)} are there"
    yield "Proof", f"the accuracy budget needs about {plural(needed, 'example')}{have}"


def _budgets(budgets: Sequence[Budget]) -> str:
    return joined((budget_words(b.metric, b.limit) for b in budgets), " · ", FACT_WIDTH) or "none"


def _print_verdict(console: "Console", verdict: Verdict, predicted: Mapping[str, Estimate]) -> None:
    console.print()
    line = styled(verdict.word.upper(), STYLES[verdict.word])
    console.print(line.append(f"  {verdict_words(verdict)}", style="not bold default"))
    console.print()
    print_checks(console, verdict)
    for reason in verdict.reasons:
        console.print(reason)
    compared = foreseen(predicted, verdict)
    if compared:
        heading(console, "Predicted and measured")
        listing(console, compared, _METRIC)


def _print_end(console: "Console", stages: Sequence[StageTime], code: int) -> None:
    console.print()
    words = [*stage_words(stages), f"exit {code}"]
    console.print(styled(joined(words, " · ", WIDTH), "dim"))
