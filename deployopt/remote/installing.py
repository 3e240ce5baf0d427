"""Brings the small install to a device: what is there already costs one question.

In: a connection to the helper, what the device is. Out: the Python to run there. pip on the device
fetches the packages; where the device has no network, wheels are brought from here.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.errors import UnreachableError
from deployopt.core.text import safe_text
from deployopt.device.serving_words import decode_word
from deployopt.remote.facts import Facts, check_space
from deployopt.remote.link import Link, RefusedError, Signs, error_of
from deployopt.remote.packing import Code, small_install
from deployopt.remote.sending import LocalFile, send_missing
from deployopt.remote.wheels import fetch_wheels, pip_wheel
from deployopt.store.digests import DigestMemo
from deployopt.store.keys import frame_fields
from deployopt.store.writing import write_new_file

_QUIET_S: Final = 120.0
_KEY_DOMAIN: Final = b"deployopt-environment-1"


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """As remote/furnishing.py reads it."""

    code: str
    archive: str = ""
    key: str
    requirements: tuple[str, ...] = ()
    wheels: tuple[tuple[str, str], ...] = ()
    pip: str = ""


class _Furnished(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    python: str


class Installer:
    """One device's install; `folder` is for what has to be made here."""

    def __init__(self, where: str, link: Link, facts: Facts, folder: Path, signs: Signs) -> None:
        self._where = where
        self._link = link
        self._facts = facts
        self._folder = folder
        self._signs = signs
        self._memo = DigestMemo()

    def install(self, code: Code, packages: Sequence[str], *, own: bool) -> str:
        """Make sure of the code and, unless the device has its `own` Python, of an environment.

        Returns:
            The Python to run there; empty where it is the device's own.

        Raises:
            UnreachableError: there is no space, or pip failed there and here.
            StorageError: the device's disk is full.
            LostError: the connection ended.
        """
        requirements = () if own else (*small_install(), *packages)
        key = "" if own else environment_key(self._facts, requirements)
        wanted = Wanted(code=code.digest, key=key)
        for _ in range(4):
            try:
                body = self._link.ask("furnish", wanted, "furnished", _QUIET_S, self._signs)
                return decode_word(body, _Furnished).python
            except RefusedError as error:
                wanted = self._more(wanted, code, requirements, error)
        raise UnreachableError(f"{self._where} asks for the same thing again and again.")

    def _more(
        self, wanted: Wanted, code: Code, requirements: Sequence[str], refused: RefusedError
    ) -> Wanted:
        """What the device lacks, sent; or its trouble as an error."""
        replace = msgspec.structs.replace
        if refused.kind == "code" and not wanted.archive:
            return replace(wanted, archive=self._send_code(code))
        if refused.kind == "empty" and not wanted.pip:
            check_space(self._where, self._facts)
            pip = self._send([pip_wheel(self._where, self._new_folder("pip"))])[0][1]
            return replace(wanted, pip=pip, requirements=tuple(requirements))
        if refused.kind == "network" and not wanted.wheels:
            folder = self._new_folder("wheels")
            wheels = fetch_wheels(self._where, requirements, self._facts, folder)
            return replace(wanted, wheels=self._send(wheels), requirements=())
        if refused.kind in {"space", "integrity"}:
            raise error_of(refused) from refused
        raise UnreachableError(
            f"The small install did not come about on {self._where}: {safe_text(str(refused), 600)}"
        ) from refused

    def _send_code(self, code: Code) -> str:
        path = self._folder / "code.zip"
        write_new_file(path, code.packed())
        return self._send([path])[0][1]

    def _send(self, paths: Sequence[Path]) -> tuple[tuple[str, str], ...]:
        """Names and digests of what is there now."""
        files = [
            LocalFile(path=path, sha256=self._memo.sha256(path), size=path.stat().st_size)
            for path in paths
        ]
        send_missing(self._link, files, self._signs)
        return tuple((file.path.name, file.sha256) for file in files)

    def _new_folder(self, name: str) -> Path:
        folder = self._folder / name
        folder.mkdir()
        return folder


def environment_key(facts: Facts, requirements: Sequence[str]) -> str:
    """Names an environment: other packages, or another Python, are another environment."""
    python = ".".join(facts.python.split(".")[:2])
    parts = [_KEY_DOMAIN, python.encode(), *(text.encode() for text in sorted(requirements))]
    return hashlib.sha256(frame_fields(parts)).hexdigest()[:32]
