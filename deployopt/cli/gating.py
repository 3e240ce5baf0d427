"""`deployopt gate`: judge figures that another tool measured."""

from pathlib import Path
from typing import Annotated

import typer

from deployopt import api
from deployopt.cli.app import BudgetOption, JsonOption, app
from deployopt.cli.ci_options import (
    Ci,
    CiOption,
    CodeQualityOption,
    Files,
    JunitOption,
    MarkdownOption,
    MetricsOption,
)
from deployopt.cli.output import emit
from deployopt.core.budget import merge_budgets, parse_budget_option


@app.command()
def gate(  # noqa: PLR0913 -- one parameter an option
    *,
    pytest_benchmark: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="What a run of pytest-benchmark saved. Repeatable."),
    ] = None,
    samples: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Or a run's seconds, a number a line. Repeatable."),
    ] = None,
    benchmark: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Which benchmark; * stands for any text. Repeatable."),
    ] = None,
    budget: BudgetOption = None,
    json: JsonOption = False,
    markdown: MarkdownOption = None,
    junit: JunitOption = None,
    metrics: MetricsOption = None,
    code_quality: CodeQualityOption = None,
    ci: CiOption = Ci.AUTO,
) -> int:
    """Judge latencies that another tool timed, a file a run."""
    result = api.gate(
        budgets=merge_budgets((), tuple(parse_budget_option(text) for text in budget or [])),
        pytest_benchmark=pytest_benchmark or [],
        samples=samples or [],
        benchmarks=benchmark or [],
    )
    files = Files(markdown=markdown, junit=junit, metrics=metrics, code_quality=code_quality, ci=ci)
    emit(result, json=json, files=files)
    return result.exit_code
