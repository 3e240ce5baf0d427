"""The command that makes a student of a teacher."""

from pathlib import Path
from typing import Annotated

import typer

from deployopt import api
from deployopt.cli.app import ColumnOption, JsonOption, StoreOption, app
from deployopt.cli.columns import read_columns
from deployopt.cli.output import emit, shown_progress
from deployopt.core.counts import parse_numbers
from deployopt.core.durations import read_duration
from deployopt.core.errors import UsageError
from deployopt.core.project import read_project


@app.command()
def distill(  # noqa: PLR0913 -- one parameter an option
    *,
    teacher: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="An alias, hub:ORG/NAME[@REV], or a folder."),
    ] = None,
    layers: Annotated[
        int | None, typer.Option(metavar="NUMBER", help="Layers to keep, evenly spread.")
    ] = None,
    keep_layers: Annotated[
        str | None, typer.Option(metavar="LIST", help="Which layers to keep, e.g. 0,2,4.")
    ] = None,
    ffn: Annotated[
        float, typer.Option(metavar="SHARE", help="Share of feed-forward neurons to keep.")
    ] = 1.0,
    heads: Annotated[
        float,
        typer.Option(metavar="SHARE", help="Share of heads to keep, where a config can say so."),
    ] = 1.0,
    student: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="A smaller model to teach, of the teacher's labels and tokenizer."
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option("--data", "-d", metavar="TEXTS", help="CSV, JSONL, Parquet, hub:datasets/…"),
    ] = None,
    eval_data: Annotated[
        str | None, typer.Option(metavar="TEXTS", help="Judge with these, rather than a part.")
    ] = None,
    unlabelled: Annotated[
        Path | None, typer.Option(metavar="FILE", help="More texts to learn from, one a line.")
    ] = None,
    column: ColumnOption = None,
    epochs: Annotated[
        int, typer.Option(metavar="NUMBER", help="The most passes over the texts.")
    ] = 4,
    learning_rate: Annotated[
        float, typer.Option(metavar="NUMBER", help="The highest one; it ends at zero.")
    ] = 1e-4,
    time_limit: Annotated[
        str | None, typer.Option(metavar="TIME", help="For teaching, e.g. 20m.")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="NUMBER", help="Decides the order of texts.")] = 0,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FOLDER", help="The student's folder.")
    ] = None,
    store: StoreOption = None,
    json: JsonOption = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")] = False,
) -> int:
    """A student from a teacher: cut, taught, judged beside it."""
    project = read_project(Path.cwd())
    name = teacher or project.model
    if not name:
        raise UsageError("No teacher was given. Add --teacher NAME; demo-sentiment needs no hub.")
    if output is None:
        raise UsageError("Nothing says where the student goes. Add -o FOLDER.")
    if layers is not None and keep_layers is not None:
        raise UsageError("--layers says how many, --keep-layers which. Give one of them.")
    with shown_progress(quiet=quiet) as watcher:
        result = api.distill(
            teacher=name,
            output=output,
            layers=parse_numbers(keep_layers, "--keep-layers")
            if keep_layers is not None
            else layers,
            ffn=ffn,
            heads=heads,
            student=student,
            data=data,
            evaluation=eval_data,
            unlabelled=unlabelled,
            columns=read_columns(column),
            epochs=epochs,
            learning_rate=learning_rate,
            time_limit_s=None if time_limit is None else read_duration(time_limit, "--time-limit"),
            seed=seed,
            store=store,
            watcher=watcher,
        )
    emit(result, json=json)
    return result.exit_code
