"""The commands that make one file of a bundle, and a bundle of it again."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from deployopt import api
from deployopt.cli.app import BundleArgument, JsonOption, app
from deployopt.core.codec import encode_pretty
from deployopt.core.errors import ExitCode
from deployopt.core.packing import PackResult


@app.command()
def pack(
    bundle: BundleArgument,
    *,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="The archive.")
    ] = None,
    json: JsonOption = False,
) -> int:
    """Make one file of a bundle, to send it."""
    return _tell(api.pack(bundle, output), json=json, unpacked=False)


@app.command()
def unpack(
    archive: Annotated[Path, typer.Argument(help="What `pack` wrote.")],
    *,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FOLDER", help="The bundle's folder.")
    ] = None,
    json: JsonOption = False,
) -> int:
    """Make the bundle of that file again; every byte is compared."""
    return _tell(api.unpack(archive, output), json=json, unpacked=True)


def _tell(result: PackResult, *, json: bool, unpacked: bool) -> int:
    from deployopt.reports.signing import print_packed

    print_packed(result, unpacked=unpacked)
    if json:
        sys.stdout.write(encode_pretty(result).decode())
    return ExitCode.ACCEPTED
