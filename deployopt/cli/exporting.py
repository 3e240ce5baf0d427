"""The command that hands a model over to another program."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from deployopt import api
from deployopt.cli.app import JsonOption, KeyOption, StoreOption, TargetOption, app
from deployopt.core.artifact import Precision
from deployopt.core.codec import encode_pretty


@app.command()
def export(  # noqa: PLR0913 -- one parameter an option
    source: Annotated[
        str, typer.Argument(help="An alias, hub:ORG/NAME[@REV], a folder, a .gguf file, a bundle.")
    ],
    output: Annotated[Path, typer.Argument(help="A new folder, or for gguf a file.")],
    *,
    form: Annotated[
        str,
        typer.Option("--as", metavar="FORM", help="vllm or gguf; of a bundle, triton or docker."),
    ],
    target: TargetOption = None,
    precision: Annotated[
        Precision | None,
        typer.Option(metavar="NAME", help="By default the highest that fits; of gguf, fp16."),
    ] = None,
    context: Annotated[
        int | None,
        typer.Option(metavar="TOKENS", help="The prompt and the answer; by default all that fit."),
    ] = None,
    key: KeyOption = None,
    lock: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Pins what the hub gave; drift is refused.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The model's in Triton; else the bundle's.")
    ] = None,
    wheel: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="deployopt itself, for the image; else from an index."),
    ] = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> int:
    """Write a model or a bundle for another program to serve."""
    from deployopt.reports.exporting import print_exported

    result = api.export(
        source,
        output,
        form=form,
        target=target,
        precision=precision,
        context=context,
        key=key,
        lock=lock,
        store=store,
        name=name,
        wheel=wheel,
    )
    print_exported(result)
    if json:
        sys.stdout.write(encode_pretty(result).decode())
    return result.exit_code
