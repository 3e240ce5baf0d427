"""The command that runs a bundle's ARM code without a board."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from deployopt import api
from deployopt.cli.app import BundleArgument, JsonOption, StoreOption, TargetOption, app
from deployopt.cli.output import shown_progress
from deployopt.core.codec import encode_pretty
from deployopt.core.durations import read_duration
from deployopt.core.errors import UsageError
from deployopt.core.units import Dimension, parse_quantity


@app.command()
def emulate(  # noqa: PLR0913 -- one parameter an option
    bundle: BundleArgument,
    *,
    target: TargetOption = None,
    examples: Annotated[
        int, typer.Option(min=1, metavar="NUMBER", help="Gate examples to answer, at most.")
    ] = 8,
    time_limit: Annotated[
        str, typer.Option(metavar="TIME", help="Of what is emulated, such as 90s or 10m.")
    ] = "5m",
    onnxruntime: Annotated[
        str | None,
        typer.Option(metavar="VERSION", help="Of the target's range. [default: this machine's]"),
    ] = None,
    compare: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="An earlier --json, whose counts are shown beside."),
    ] = None,
    max_growth: Annotated[
        str | None,
        typer.Option(metavar="SHARE", help="Reject more instructions than that, such as 2%."),
    ] = None,
    store: StoreOption = None,
    json: JsonOption = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")] = False,
) -> int:
    """ARM code without a board: answers and instruction counts."""
    from deployopt.reports.emulation import print_emulation

    limit_s = read_duration(time_limit, "--time-limit")
    growth = None if max_growth is None else _share(max_growth)
    if growth is not None and compare is None:
        raise UsageError("--max-growth needs an earlier result: add --compare FILE.")
    with shown_progress(quiet=quiet) as watcher:
        result = api.emulate(
            bundle,
            target=target,
            examples=examples,
            time_limit_s=limit_s,
            onnxruntime=onnxruntime,
            compare=compare,
            growth_max=growth,
            store=store,
            watcher=watcher,
        )
    print_emulation(result)
    if json:
        sys.stdout.write(encode_pretty(result).decode())
    return result.exit_code


def _share(text: str) -> float:
    try:
        return parse_quantity(text, Dimension.SHARE)
    except ValueError as error:
        raise UsageError(f"--max-growth {text!r}: {error}. Write e.g. 2%.") from error
