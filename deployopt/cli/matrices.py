"""The command that builds many models for many targets."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from deployopt import api
from deployopt.cli.app import JsonOption, StoreOption, app
from deployopt.core.codec import encode_pretty
from deployopt.core.matrix import NOBODY, MatrixWatcher


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
        typer.Option(metavar="NAME", help="processes, or inline: one cell after another."),
    ] = "processes",
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
    store: StoreOption = None,
    json: JsonOption = False,
    junit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write JUnit XML, a case a cell.")
    ] = None,
    metrics: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write OpenMetrics text, gauges by cell.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> int:
    """Build many models for many targets; do again only what changed."""
    with _shown(quiet=quiet) as watcher:
        result = api.matrix(
            file, output=output, store=store, executor=executor, jobs=jobs, watcher=watcher
        )
    from deployopt.reports.matrix import print_matrix
    from deployopt.reports.matrix_ci import matrix_junit, matrix_metrics
    from deployopt.store.writing import atomic_write_bytes

    print_matrix(result)
    if junit is not None:
        atomic_write_bytes(junit, matrix_junit(result))
    if metrics is not None:
        atomic_write_bytes(metrics, matrix_metrics(result))
    if json:
        sys.stdout.write(encode_pretty(result).decode())
    return result.exit_code


@contextmanager
def _shown(*, quiet: bool) -> Iterator[MatrixWatcher]:
    """Progress on stderr, or silence."""
    if quiet:
        yield NOBODY
        return
    from deployopt.reports.matrix_progress import MatrixProgress

    with MatrixProgress() as progress:
        yield progress
