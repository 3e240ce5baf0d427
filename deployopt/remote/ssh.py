"""How the system's ssh is called, and what its words mean.

In: an address and settings. Out: an argument list, never a shell's line; or, of a connection that
ended, an error that says what to do. The user's own ssh settings hold, except that nothing is
forwarded, nothing is asked on a terminal, and a host that is not known is never trusted.
"""

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.errors import DeployoptError, UnreachableError, UsageError
from deployopt.core.text import safe_text
from deployopt.remote.address import Address
from deployopt.remote.link import SSH_FAILED

SSH_CONFIG: Final = "DEPLOYOPT_SSH_CONFIG"
"""Names a file that ssh reads in the place of the user's own configuration (`ssh -F`)."""
DEVICE_PYTHON: Final = "DEPLOYOPT_DEVICE_PYTHON"
"""Names a Python on the device that has the small install already; nothing is installed then."""
OPTIONS: Final = (
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "ClearAllForwardings=yes",
    "PermitLocalCommand=no",
    "RemoteCommand=none",
    "ControlMaster=no",
    "ControlPath=none",
    "ConnectTimeout=15",
    "ServerAliveInterval=10",
    "ServerAliveCountMax=3",
    "LogLevel=ERROR",
)
PYTHON_MISSING: Final = 77
_NOT_FOUND: Final = 127
_LINES: Final = 4
# Single quotes hold it in every login shell; it has no quote, dollar or exclamation mark in the
# part that Python reads. The program comes on stdin, up to a zero byte.
_FITS: Final = "import sys;sys.exit(not(3,11)<=sys.version_info[:2]<(3,14))"
_READ: Final = (
    "import os,sys;"
    "exec(bytes().join(iter(lambda:os.read(0,1)or sys.exit(75),bytes(1))),dict(__name__=__name__))"
)
_PYTHONS: Final = "python3 python3.13 python3.12 python3.11"
COMMAND: Final = (
    f"exec sh -c 'for p in {_PYTHONS}; do "
    f'if $p -I -c "{_FITS}" 2>/dev/null; then exec $p -I -c "{_READ}"; fi; done; '
    f"for p in {_PYTHONS}; do $p -V; done 2>&1 | grep Python | head -n 1 >&2; "
    f"exit {PYTHON_MISSING}'"
)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the environment says about reaching devices."""

    config: Path | None = None
    python: str | None = None


def settings_here(environment: Mapping[str, str] | None = None) -> Settings:
    """Read DEPLOYOPT_SSH_CONFIG and DEPLOYOPT_DEVICE_PYTHON; raises UsageError."""
    found = os.environ if environment is None else environment
    config, python = found.get(SSH_CONFIG) or None, found.get(DEVICE_PYTHON) or None
    if config is not None and not Path(config).is_file():
        raise UsageError(f"{SSH_CONFIG} names {safe_text(config, 200)!r}, which is not a file.")
    if python is not None and not python.startswith("/"):
        raise UsageError(
            f"{DEVICE_PYTHON} is {safe_text(python, 200)!r}; it takes the full path of a Python "
            "on the device."
        )
    return Settings(config=None if config is None else Path(config).absolute(), python=python)


def ssh_command(address: Address, settings: Settings) -> list[str]:
    """The argument list.

    Raises:
        UnreachableError: there is no ssh here.
    """
    program = shutil.which("ssh")
    if program is None:
        raise UnreachableError(
            "There is no ssh on this machine, so no device can be reached. Install the OpenSSH "
            "client (Debian: apt install openssh-client)."
        )
    words = [program, "-T"]
    if settings.config is not None:
        words += ["-F", str(settings.config)]
    for option in OPTIONS:
        words += ["-o", option]
    if address.port is not None:
        words += ["-p", str(address.port)]
    if address.user is not None:
        words += ["-l", address.user]
    return [*words, "--", address.host, COMMAND]


def fatal_trouble(address: Address, code: int | None, said: str) -> DeployoptError | None:
    """The error of a connection that another attempt would not mend; None where it may."""
    for pattern, advice in _FATAL:
        if pattern.search(said):
            return UnreachableError(
                advice.format(where=address, host=_by_hand(address), known=_known(address))
            )
    if code == PYTHON_MISSING:
        found = safe_text(said.strip().splitlines()[-1], 60) if said.strip() else "none"
        return UnreachableError(
            f"{address} has no Python that deployopt runs on (3.11 to 3.13); found: {found}. "
            "Install one there (Debian and Raspberry Pi OS from version 12: apt install python3)."
        )
    if code == _NOT_FOUND:
        return UnreachableError(f"{address} runs no commands: {last_words(said)}")
    return None


def unreachable(address: Address, code: int | None, said: str) -> UnreachableError:
    """The error of a connection that did not come about."""
    if code is None or code < 0 or code == SSH_FAILED:
        return UnreachableError(
            f"{address} cannot be reached: {last_words(said)} Check that it is on and that "
            f"`ssh {_by_hand(address)} true` works."
        )
    return UnreachableError(
        f"The program that deployopt starts on {address} ended (exit code {code}): "
        f"{last_words(said)}"
    )


def last_words(said: str) -> str:
    """The end of what ssh printed, on one line, as a sentence."""
    lines = [safe_text(line, 200) for line in said.strip().splitlines() if line.strip()]
    words = " | ".join(lines[-_LINES:]) or "it said nothing"
    return words if words.endswith(".") else f"{words}."


def _by_hand(address: Address) -> str:
    """As a person gives it to ssh."""
    port = "" if address.port is None else f"-p {address.port} "
    user = "" if address.user is None else f"{address.user}@"
    return f"{port}{user}{address.host}"


def _known(address: Address) -> str:
    """As known_hosts has it."""
    return address.host if address.port in {None, 22} else f"[{address.host}]:{address.port}"


_FATAL: Final = (
    (
        re.compile(r"REMOTE HOST IDENTIFICATION HAS CHANGED"),
        (
            "The host key of {where} is not the one that this machine knows: it was installed "
            "anew, or someone stands between. Nothing was sent. If you know why it changed, forget "
            "the old key with `ssh-keygen -R '{known}'` and connect once by hand with `ssh {host}`."
        ),
    ),
    (
        re.compile(r"Host key verification failed|host key is known for"),
        (
            "The host key of {where} is not known here, and an unknown host is not trusted. "
            "Connect once by hand with `ssh {host}` and compare the fingerprint that it shows."
        ),
    ),
    (
        re.compile(r"Permission denied|Too many authentication failures"),
        (
            "{where} does not accept this machine's key. deployopt asks for no password: put your "
            "key there with `ssh-copy-id {host}`, and see that `ssh {host} true` works without one."
        ),
    ),
    (
        re.compile(r"Could not resolve hostname"),
        (
            "{where} names a host that is not known to this network. Check the name, or use the "
            "device's number."
        ),
    ),
    (
        re.compile(r"[Bb]ad configuration option|Can't open user config file"),
        (
            "The ssh configuration cannot be read, so {where} was not tried. `ssh {host} true` "
            "shows which line is wrong."
        ),
    ),
)
