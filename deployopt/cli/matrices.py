"""The command that builds many models for many targets."""

from pathlib import Path
from typing import Annotated

import typer

from deployopt import api
from deployopt.cli.app import JsonOption, ShareOption, StoreOption, app
from deployopt.cli.ci_options import Ci, CiOption, CodeQualityOption, Files, MarkdownOption
from deployopt.cli.each import shown_cells
from deployopt.cli.output import emit


@app.command()
def matrix(  # noqa: PLR0913 -- one parameter an option
    file: Annotated[Path, typer.Argument(help="Models, targets and budgets, in TOML.")],
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FOLDER", help="Of bundles and reports; else the file's."
        ),
    ] = None,
    executor: Annotated[
        str,
        typer.Option(metavar="NAME", help="processes, ray, or inline: one cell after another."),
    ] = "processes",
    ray_address: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Of a Ray cluster: auto, or HOST:PORT. [default: a Ray of its own, here]",
            show_default=False,
        ),
    ] = None,
    fleet: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Devices that measure, in TOML: by target, over ssh."),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            "-j",
            metavar="NUMBER",
            help="Cells at a time, memory allowing. [default: the cores]",
            show_default=False,
        ),
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Print the steps and who shares them; begin nothing.")
    ] = False,
    store: StoreOption = None,
    share: ShareOption = None,
    json: JsonOption = False,
    markdown: MarkdownOption = None,
    junit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write JUnit XML, a case a cell.")
    ] = None,
    metrics: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write OpenMetrics text, gauges by cell.")
    ] = None,
    code_quality: CodeQualityOption = None,
    ci: CiOption = Ci.AUTO,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> int:
    """Build many models for many targets; do again only what changed."""
    if plan:
        graph = api.plan_matrix(file, output=output, store=store, fleet=fleet, share=share)
        emit(graph, json=json)
        return graph.exit_code
    with shown_cells(quiet=quiet) as watcher:
        result = api.matrix(
            file,
            output=output,
            store=store,
            executor=executor,
            jobs=jobs,
            ray_address=ray_address,
            fleet=fleet,
            share=share,
            watcher=watcher,
        )
    files = Files(markdown=markdown, junit=junit, metrics=metrics, code_quality=code_quality, ci=ci)
    emit(result, json=json, files=files)
    return result.exit_code
