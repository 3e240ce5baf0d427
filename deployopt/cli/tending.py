"""The commands that list, look around and tidy up; their bodies are in listing.py."""

from pathlib import Path
from typing import Annotated

import typer

from deployopt.cli.app import BundleArgument, JsonOption, StoreOption, app
from deployopt.cli.output import shown_progress
from deployopt.core.errors import ExitCode


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
def detect(
    *,
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate", help="Time operators and small models too, for predictions; 1 to 3 min."
        ),
    ] = False,
    json: JsonOption = False,
) -> int:
    """This machine as a target file, by real probes."""
    from deployopt.cli.listing import print_detected

    with shown_progress(quiet=not calibrate) as watcher:
        print_detected(json=json, calibrate=calibrate, watcher=watcher)
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
    share: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Clean this share, not the store; with --older-than."),
    ] = None,
    older_than: Annotated[
        int | None,
        typer.Option(metavar="DAYS", min=1, help="What was put into the share longer ago goes."),
    ] = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> int:
    """Clean the store, or a share."""
    from deployopt.cli.listing import collect_garbage, sweep_share

    if share is not None or older_than is not None:
        sweep_share(share, older_than, everything=everything, dry_run=dry_run, json=json)
        return ExitCode.ACCEPTED
    collect_garbage(store, everything=everything, dry_run=dry_run, json=json)
    return ExitCode.ACCEPTED
