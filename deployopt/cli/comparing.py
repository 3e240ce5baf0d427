"""The command that holds one bundle against another."""

from pathlib import Path
from typing import Annotated

import typer

from deployopt import api
from deployopt.cli.app import DeviceOption, JsonOption, ProxyOption, app
from deployopt.cli.ci_options import (
    Ci,
    CiOption,
    CodeQualityOption,
    Files,
    JunitOption,
    MarkdownOption,
    MetricsOption,
)
from deployopt.cli.output import emit, shown_progress
from deployopt.core.comparison import FailOn
from deployopt.core.durations import read_duration

MarginOption = Annotated[
    str, typer.Option(metavar="SHARE", help="How much slower or larger is no regression yet.")
]
AccuracyMarginOption = Annotated[
    str | None,
    typer.Option(
        metavar="POINTS",
        help="How much accuracy may be lost. [default: the new bundle's budget, or 1 pt]",
        show_default=False,
    ),
]
NllMarginOption = Annotated[
    str | None,
    typer.Option(
        metavar="SHARE",
        help="How much a language model's NLL may rise. [default: the new bundle's budget, or 2 %]",
        show_default=False,
    ),
]


@app.command()
def compare(  # noqa: PLR0913 -- one parameter an option
    old: Annotated[Path, typer.Argument(help="The bundle that is trusted so far.")],
    new: Annotated[Path, typer.Argument(help="The bundle that is to follow it.")],
    *,
    margin: MarginOption = "5%",
    accuracy_margin: AccuracyMarginOption = None,
    nll_margin: NllMarginOption = None,
    fail_on: Annotated[
        FailOn,
        typer.Option(help="regression: what is undecided passes, with exit 0."),
    ] = FailOn.UNDECIDED,
    device: DeviceOption = None,
    proxy: ProxyOption = False,
    time_limit: Annotated[
        str | None, typer.Option(metavar="TIME", help="Of the rounds, e.g. 5m. [default: 15m]")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="NUMBER", help="Decides the order of requests.")] = 0,
    json: JsonOption = False,
    markdown: MarkdownOption = None,
    junit: JunitOption = None,
    metrics: MetricsOption = None,
    code_quality: CodeQualityOption = None,
    ci: CiOption = Ci.AUTO,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")] = False,
) -> int:
    """Hold a new bundle against an old one, both measured now."""
    limit_s = None if time_limit is None else read_duration(time_limit, "--time-limit")
    with shown_progress(quiet=quiet) as watcher:
        result = api.compare(
            old,
            new,
            margin=margin,
            accuracy_margin=accuracy_margin,
            nll_margin=nll_margin,
            fail_on=fail_on,
            device=device,
            proxy=proxy,
            time_limit_s=limit_s,
            seed=seed,
            watcher=watcher,
        )
    files = Files(markdown=markdown, junit=junit, metrics=metrics, code_quality=code_quality, ci=ci)
    emit(result, json=json, files=files)
    return result.exit_code
