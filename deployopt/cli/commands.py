"""The commands and their options; every body parses, calls the API and prints."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from deployopt import api
from deployopt.cli.output import emit, shown_progress
from deployopt.core.budget import Budget, merge_budgets, parse_budget_option
from deployopt.core.errors import ExitCode, UsageError
from deployopt.core.project import Project, read_project
from deployopt.core.version import VERSION

app = typer.Typer(
    name="deployopt",
    help="From a trained model and a device to an artifact that is proved to meet its budgets.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 accepted, 1 rejected, 2 usage, 3 undecided, 4 integrity, 5 failed.",
)

TargetOption = Annotated[
    str | None,
    typer.Option("--target", "-t", metavar="NAME", help="A target's name, or a TOML file."),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        metavar="NAME",
        help="An alias, hub:ORG/NAME[@REV], a folder, or an .onnx file.",
    ),
]
BudgetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--budget", "-b", metavar="METRIC=LIMIT", help="A limit, e.g. latency_p95=60ms. Repeatable."
    ),
]
DataOption = Annotated[
    str | None,
    typer.Option(
        "--data",
        "-d",
        metavar="DATA",
        help="Evaluation data: CSV, JSONL, Parquet, a folder, or hub:.",
    ),
]
ColumnOption = Annotated[
    list[str] | None,
    typer.Option(
        "--column", metavar="ROLE=NAME", help="Which column is what, e.g. text=review. Repeatable."
    ),
]
StoreOption = Annotated[
    Path | None,
    typer.Option("--store", metavar="FOLDER", help="The cache's folder.", envvar="DEPLOYOPT_HOME"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
AcceptOption = Annotated[
    bool,
    typer.Option("--accept-predicted", help="Exit 0 for a provisional bundle as well."),
]
BundleArgument = Annotated[Path, typer.Argument(help="The bundle's folder.")]


@app.command()
def build(  # noqa: PLR0913 -- one parameter an option
    *,
    target: TargetOption = None,
    model: ModelOption = None,
    budget: BudgetOption = None,
    data: DataOption = None,
    column: ColumnOption = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FOLDER", help="The bundle's folder.")
    ] = None,
    accept_predicted: AcceptOption = False,
    seed: Annotated[
        int, typer.Option(metavar="NUMBER", help="Decides the splits and the order of requests.")
    ] = 0,
    lock: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Pins what the hub gave; drift is refused.")
    ] = None,
    store: StoreOption = None,
    json: JsonOption = False,
    markdown: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a summary for a pull request.")
    ] = None,
    junit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write JUnit XML, a case a budget.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")] = False,
) -> int:
    """Plan, build, measure, judge, and publish the best bundle."""
    project = read_project(Path.cwd())
    request = _asked(project, target, model)
    with shown_progress(quiet=quiet) as watcher:
        result = api.build(
            model=request[1],
            target=request[0],
            budgets=_budgets(project, budget),
            data=data or project.data,
            columns=_columns(column),
            output=output or (Path(project.output) if project.output else None),
            accept_predicted=accept_predicted,
            store=store,
            seed=seed,
            lock=lock,
            watcher=watcher,
        )
    emit(result, json=json, markdown=markdown, junit=junit)
    return result.exit_code


@app.command()
def plan(  # noqa: PLR0913 -- one parameter an option
    *,
    target: TargetOption = None,
    model: ModelOption = None,
    budget: BudgetOption = None,
    data: DataOption = None,
    column: ColumnOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> int:
    """What would be tried and expected; builds nothing."""
    project = read_project(Path.cwd())
    request = _asked(project, target, model)
    result = api.plan(
        model=request[1],
        target=request[0],
        budgets=_budgets(project, budget),
        data=data or project.data,
        columns=_columns(column),
        store=store,
    )
    emit(result, json=json)
    return result.exit_code


@app.command()
def verify(
    bundle: BundleArgument,
    *,
    accept_predicted: AcceptOption = False,
    json: JsonOption = False,
    markdown: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a summary for a pull request.")
    ] = None,
    junit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write JUnit XML, a case a budget.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")] = False,
) -> int:
    """On the device: check digests, measure, judge."""
    with shown_progress(quiet=quiet) as watcher:
        result = api.verify(bundle, accept_predicted=accept_predicted, watcher=watcher)
    emit(result, json=json, markdown=markdown, junit=junit)
    return result.exit_code


@app.command()
def run(
    bundle: BundleArgument,
    inputs: Annotated[list[str] | None, typer.Argument(help="Texts, or image files.")] = None,
    *,
    input_file: Annotated[
        Path | None,
        typer.Option(
            "--input",
            "-i",
            metavar="FILE",
            help="A file of inputs: a text a line, .npy, .npz, or an image.",
        ),
    ] = None,
    json: JsonOption = False,
) -> int:
    """Predict with a bundle."""
    from deployopt.cli.running import predict_and_print

    return predict_and_print(bundle, inputs or [], input_file, json=json)


@app.command()
def targets(
    name: Annotated[
        str | None, typer.Argument(help="Show this one; a TOML file works too.")
    ] = None,
    *,
    toml: Annotated[
        bool, typer.Option("--toml", help="Print its file, to start one's own.")
    ] = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of a target file.")
    ] = False,
    json: JsonOption = False,
) -> int:
    """List the targets, or show one."""
    from deployopt.cli.listing import print_target_list, print_target_schema, print_target_shown

    if schema:
        print_target_schema()
    elif name is None:
        print_target_list(json=json)
    else:
        print_target_shown(name, toml=toml, json=json)
    return ExitCode.ACCEPTED


@app.command()
def detect(*, json: JsonOption = False) -> int:
    """This machine as a target file, by real probes."""
    from deployopt.cli.listing import print_detected

    print_detected(json=json)
    return ExitCode.ACCEPTED


@app.command()
def report(
    bundle: BundleArgument,
    *,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where the page goes.")
    ] = None,
) -> int:
    """Write a bundle's HTML page."""
    from deployopt.cli.listing import write_report

    write_report(bundle, output)
    return ExitCode.ACCEPTED


@app.command()
def gc(
    *,
    everything: Annotated[bool, typer.Option("--all", help="Drop everything not in use.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Only say what would go.")] = False,
    store: StoreOption = None,
    json: JsonOption = False,
) -> int:
    """Clean the store."""
    from deployopt.cli.listing import collect_garbage

    collect_garbage(store, everything=everything, dry_run=dry_run, json=json)
    return ExitCode.ACCEPTED


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    *,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        sys.stdout.write(f"deployopt {VERSION}\n")
        raise typer.Exit
    if context.invoked_subcommand is None:
        sys.stdout.write(f"{context.get_help()}\n")
        raise typer.Exit(ExitCode.USAGE)


def _asked(project: Project, target: str | None, model: str | None) -> tuple[str, str]:
    target, model = target or project.target, model or project.model
    if not target:
        raise UsageError("No target was given. Add --target NAME; `deployopt targets` lists them.")
    if not model:
        raise UsageError(
            "No model was given. Add --model NAME; demo-sentiment is one that needs no hub."
        )
    return target, model


def _budgets(project: Project, options: list[str] | None) -> tuple[Budget, ...]:
    return merge_budgets(project.limits, tuple(parse_budget_option(o) for o in options or []))


def _columns(options: list[str] | None) -> dict[str, str]:
    columns = {}
    for option in options or []:
        role, sign, name = option.partition("=")
        if not sign or role not in {"text", "label"}:
            raise UsageError(f"--column {option!r} is not text=NAME or label=NAME.")
        columns[role] = name
    return columns
