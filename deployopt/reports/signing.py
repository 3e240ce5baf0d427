"""Who vouches for a bundle, for a person: a signature that was made, one that was checked.

In: a result record. Out: text for 80 columns on stderr, and the words that other reports share.
"""

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

from deployopt.core.packing import PackResult
from deployopt.core.signature import Authenticity, SignResult
from deployopt.core.text import safe_record, safe_text
from deployopt.core.units import Dimension, show_quantity
from deployopt.reports.layout import command, facts, heading, stderr_console, styled
from deployopt.reports.words import plural

if TYPE_CHECKING:
    from rich.console import Console


def authenticity_words(found: Authenticity | None) -> str:
    """`UNVERIFIED: the bundle is not signed`; where nothing is known, that nothing is."""
    if found is None:
        return "UNVERIFIED: nobody looked"
    return f"{found.trust.value.upper()}: {found.says}"


def print_signed(result: SignResult, console: "Console | None" = None) -> None:
    """What was signed or made, and the command that checks it on a device."""
    console = console or stderr_console()
    result = safe_record(result)
    title = "A new pair of keys" if result.name is None else f"{result.name}, signed"
    console.print(styled(safe_text(title, 78), "bold"))
    facts(console, _facts(result))
    if result.bundle is None:
        heading(console, "To sign with it")
        command(console, f"deployopt sign BUNDLE --key {shlex.quote(result.private_key)}")
    else:
        public = shlex.quote(result.public_key) if result.public_key else "K.pub"
        heading(console, "To check it on the device, with the public key")
        command(console, f"deployopt verify {shlex.quote(result.bundle)} --key {public}")
    console.print()


def print_packed(result: PackResult, *, unpacked: bool, console: "Console | None" = None) -> None:
    """What went into a file or came out of it, and what to do with it there."""
    console = console or stderr_console()
    result = safe_record(result)
    title = f"{result.name}, {'unpacked' if unpacked else 'packed'}"
    console.print(styled(safe_text(title, 78), "bold"))
    size = show_quantity(result.size_bytes, Dimension.SIZE)
    whose = "there is one; verify --key K.pub says whose" if result.signed else "none"
    pairs = (
        ("Holds", f"{plural(result.files, 'file')}, {size}"),
        ("Signature", whose),
        ("Digest", result.bundle_digest),
        ("Written", result.bundle if unpacked else result.archive),
    )
    facts(console, pairs)
    heading(console, "To check it on the device" if unpacked else "To make the bundle of it again")
    line = ("verify", result.bundle) if unpacked else ("unpack", result.archive)
    key = " --key K.pub" if unpacked and result.signed else ""
    command(console, f"deployopt {line[0]} {shlex.quote(line[1])}{key}")
    console.print()


def _facts(result: SignResult) -> Iterator[tuple[str, str]]:
    if result.bundle is not None:
        size = show_quantity(result.size_bytes, Dimension.SIZE)
        yield "Release", f"{result.release_seq}; devices refuse a lower one after it"
        yield "Covers", f"{plural(result.files, 'file')}, {size}"
        yield "Judged", f"{result.outcome}, where it was built"
    yield "Key", result.key
    if result.new_key:
        yield "Private", f"{result.private_key}, for its owner alone: keep it, and keep it secret"
        yield "Public", f"{result.public_key}, for the devices"
    if result.written is not None:
        yield "Written", result.written
    yield from (("Warning", warning) for warning in result.warnings)
