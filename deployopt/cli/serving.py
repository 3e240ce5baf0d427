"""The command that answers over HTTP."""

import sys
from typing import Annotated

import typer

from deployopt import api
from deployopt.cli.app import BundleArgument, JsonOption, KeyOption, StoreOption, app
from deployopt.core.codec import encode_json
from deployopt.core.errors import ExitCode, UsageError
from deployopt.core.serving import ServeResult
from deployopt.core.text import safe_text
from deployopt.core.units import Size


@app.command()
def serve(  # noqa: PLR0913 -- one parameter an option
    bundle: BundleArgument,
    *,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="0.0.0.0 for all that reach this machine.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="NUMBER", help="0 for any that is free.")] = 8000,
    max_body: Annotated[str, typer.Option(metavar="SIZE", help="Of a request's body.")] = "8 MiB",
    max_inputs: Annotated[
        int, typer.Option(metavar="NUMBER", min=1, help="Inputs in one request.")
    ] = 32,
    key: KeyOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> int:
    """Answer with a bundle over HTTP: POST /predict, GET /health, GET /metadata."""

    def tell(result: ServeResult) -> None:
        sys.stderr.write(_line(result))
        sys.stderr.flush()
        if json:
            sys.stdout.write(f"{encode_json(result).decode()}\n")
            sys.stdout.flush()

    api.serve(
        bundle,
        host=host,
        port=port,
        key=key,
        store=store,
        max_body=_bytes(max_body),
        max_inputs=max_inputs,
        ready=tell,
    )
    sys.stderr.write("Stopped as asked; what was under way was answered.\n")
    return ExitCode.ACCEPTED


def _bytes(text: str) -> int:
    try:
        size = int(Size.parse(text))
    except (ValueError, TypeError) as error:
        raise UsageError(f"--max-body is wrong: {error}.") from error
    if size < 1:
        raise UsageError("--max-body is wrong: no body fits in it.")
    return size


def _line(result: ServeResult) -> str:
    doubt = "" if result.outcome == "accepted" else f" It is {result.outcome}, not accepted."
    name = safe_text(result.name, 80)
    return f"{name} answers at {result.url}/predict, on {result.threads} threads.{doubt}\n"
