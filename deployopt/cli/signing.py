"""The command that signs a bundle, or makes the keys for it."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from deployopt import api
from deployopt.cli.app import JsonOption, StoreOption, app
from deployopt.core.codec import encode_pretty
from deployopt.core.errors import UsageError


@app.command()
def sign(
    bundle: Annotated[Path | None, typer.Argument(help="The bundle's folder.")] = None,
    *,
    key: Annotated[
        Path | None, typer.Option("--key", "-k", metavar="K", help="The private key to sign with.")
    ] = None,
    new_key: Annotated[
        Path | None,
        typer.Option(metavar="K", help="Make a private key K, and K.pub for devices; use it."),
    ] = None,
    release_seq: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBER",
            help="Its place among releases. [default: one more than the last]",
            show_default=False,
        ),
    ] = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> int:
    """Vouch for a bundle with a key; verify --key checks it."""
    from deployopt.reports.signing import print_signed

    if (key is None) == (new_key is None):
        raise UsageError(
            "Give the private key to sign with, --key K, or make one with --new-key K."
        )
    if bundle is None and new_key is None:
        raise UsageError("No bundle was given. Name the folder that `build` published.")
    if new_key is not None:
        _require_outside(new_key, bundle)
        result = api.new_key(new_key)
        if bundle is not None:
            print_signed(result)
    private = key or new_key
    if bundle is not None and private is not None:
        result = api.sign(bundle, key=private, release_seq=release_seq, store=store)
    print_signed(result)
    if json:
        sys.stdout.write(encode_pretty(result).decode())
    return result.exit_code


def _require_outside(key: Path, bundle: Path | None) -> None:
    """A private key is never shipped with what it signs."""
    if bundle is not None and key.absolute().resolve().is_relative_to(bundle.absolute().resolve()):
        raise UsageError(f"{key} lies inside the bundle, which is given away. Name another place.")
