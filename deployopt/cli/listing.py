"""`targets`, `detect`, `report` and `gc`: ask, print, write where told."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from textwrap import fill

from deployopt import api
from deployopt.core.codec import encode_pretty
from deployopt.core.errors import UsageError
from deployopt.core.units import Dimension, show_quantity
from deployopt.core.watching import SILENT, Watcher
from deployopt.reports.layout import WIDTH


def print_target_list(*, json: bool) -> None:
    """All shipped targets, a line each."""
    from deployopt.planning.targets import load_target, target_names

    found = [load_target(name) for name in target_names()]
    if json:
        sys.stdout.write(encode_pretty(found).decode())
        return
    from deployopt.reports.targets import print_targets

    print_targets(found)


def print_target_shown(name: str, *, toml: bool, json: bool) -> None:
    """One target for a person, or its file on stdout, to start one's own from."""
    from deployopt.planning.targets import load_target, target_path
    from deployopt.reports.targets import print_target

    target = load_target(name)
    if json:
        sys.stdout.write(encode_pretty(target).decode())
    elif toml:
        sys.stdout.write(target_path(name).read_text(encoding="utf-8"))
    else:
        print_target(target)


def print_target_schema() -> None:
    """The JSON Schema of a target file, for editors."""
    from deployopt.planning.target_schema import target_schema

    sys.stdout.write(target_schema().decode())


def print_detected(*, json: bool, calibrate: bool = False, watcher: Watcher = SILENT) -> None:
    """This machine as a target file."""
    from deployopt.device.detect import to_toml

    target = api.detect(calibrate=calibrate, watcher=watcher)
    sys.stdout.write(encode_pretty(target).decode() if json else to_toml(target))


def write_report(bundle: Path, output: Path | None) -> None:
    """The bundle's page, written beside it unless told otherwise.

    Raises:
        IntegrityError: the bundle is not the one that was built.
    """
    written = api.report(bundle, output)
    sys.stdout.write(f"{written}\n")


def sweep_share(
    share: str | None, days: int | None, *, everything: bool, dry_run: bool, json: bool
) -> None:
    """Remove what is old from a share and say what went; raises UsageError."""
    from deployopt.pipeline.sharing import swept

    if share is None or days is None or everything:
        raise UsageError(
            "A share is cleaned by age: `deployopt gc --share URL --older-than DAYS`, both of them "
            "and without --all."
        )
    gone = swept(share, now_s=datetime.now(UTC).timestamp(), days=days, dry_run=dry_run)
    if json:
        sys.stdout.write(encode_pretty(gone).decode())
        return
    word = "would be removed" if dry_run else "removed"
    size = show_quantity(gone.freed_bytes, Dimension.SIZE)
    text = (
        f"{gone.share}: {gone.records} records, {gone.files} files and {gone.parts} leftovers "
        f"{word}, {size}; {gone.kept} records stay."
    )
    sys.stderr.write(fill(text, WIDTH) + "\n")


def collect_garbage(store: Path | None, *, everything: bool, dry_run: bool, json: bool) -> None:
    """Clean the store and say what went."""
    from deployopt.store.store import Store

    with Store(store) as opened:
        gone = opened.gc(everything=everything, dry_run=dry_run)
    if json:
        sys.stdout.write(encode_pretty(gone).decode())
        return
    word = "would be removed" if dry_run else "removed"
    size = show_quantity(gone.freed_bytes, Dimension.SIZE)
    kept = f"; {gone.in_use} in use stay" if gone.in_use else ""
    systems = f"{gone.emulation} emulated systems, " if gone.emulation else ""
    engines = f"{gone.engines} folders of engines, " if gone.engines else ""
    text = (
        f"{gone.objects} objects, {gone.keys} keys, {gone.records} records, {systems}{engines}"
        f"{gone.staging} unfinished and {gone.quarantined} damaged entries {word}, {size}{kept}."
    )
    staying = {
        "What `emulate` fetched": gone.emulation_bytes,
        "What TensorRT built": gone.engines_bytes,
    }
    for what, amount in staying.items():
        if amount:
            left = show_quantity(amount, Dimension.SIZE)
            text += f" {what} stays, {left}; --all removes it."
    sys.stderr.write(fill(text, WIDTH) + "\n")
