"""The command line as a whole, and the options that several commands share."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from deployopt.core.budget import Budget, merge_budgets, parse_budget_option
from deployopt.core.errors import ExitCode, UsageError
from deployopt.core.project import Project
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
TargetsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--target",
        "-t",
        metavar="NAME[,NAME…]",
        help="A target's name, or a TOML file; several share the steps that they can.",
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        metavar="NAME",
        help="An alias, hub:ORG/NAME[@REV], a folder, an .onnx or .gguf file.",
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
LabelsOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="What an image-text model chooses among: a .txt with a label a line, or a table of "
        "text and label.",
    ),
]
StoreOption = Annotated[
    Path | None,
    typer.Option(
        "--store", metavar="FOLDER", help="The cache's folder; else store-1 in $DEPLOYOPT_HOME."
    ),
]
ShareOption = Annotated[
    str | None,
    typer.Option(
        "--share",
        metavar="URL",
        envvar="DEPLOYOPT_SHARE",
        help="Where machines exchange what steps made: a folder, or s3://BUCKET/PREFIX.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
AcceptOption = Annotated[
    bool,
    typer.Option("--accept-predicted", help="Exit 0 for a provisional bundle as well."),
]
DeviceOption = Annotated[
    str | None,
    typer.Option("--device", metavar="ADDRESS", help="Measure there: ssh://[user@]host[:port]."),
]
ProxyOption = Annotated[
    bool, typer.Option("--proxy", help="Measure though this machine is not the target.")
]
KeyOption = Annotated[
    Path | None,
    typer.Option("--key", metavar="K.pub", help="The public key that must vouch for every byte."),
]
BundleArgument = Annotated[Path, typer.Argument(help="The bundle's folder.")]


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


def asked(project: Project, target: str | None, model: str | None) -> tuple[str, str]:
    """The target and the model: from the command line, else from the project's file.

    Raises:
        UsageError: one of them is given nowhere.
    """
    target, model = target or project.target, model or project.model
    if not target:
        raise UsageError("No target was given. Add --target NAME; `deployopt targets` lists them.")
    if not model:
        raise UsageError(
            "No model was given. Add --model NAME; demo-sentiment is one that needs no hub."
        )
    return target, model


def asked_each(
    project: Project, targets: list[str] | None, model: str | None
) -> tuple[tuple[str, ...], str]:
    """The targets, one or more, and the model.

    Raises:
        UsageError: one of them is given nowhere, or a target twice.
    """
    named = [name for text in targets or [project.target or ""] for name in _split(text)]
    first, model = asked(project, named[0] if named else None, model)
    twice = next((name for at, name in enumerate(named) if name in named[:at]), None)
    if twice is not None:
        raise UsageError(f"--target: {twice} is named twice. Name each target once.")
    return tuple(named) or (first,), model


def _split(text: str) -> list[str]:
    """The names between the commas; a file whose path has one is a name."""
    if "," not in text or Path(text).exists():
        return [text] if text else []
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise UsageError(f"--target {text!r} has an empty name between its commas.")
    return names


def asked_budgets(project: Project, options: list[str] | None) -> tuple[Budget, ...]:
    """The project's budgets, with those of the command line in their place."""
    return merge_budgets(project.limits, tuple(parse_budget_option(o) for o in options or []))
