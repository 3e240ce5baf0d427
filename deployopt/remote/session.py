"""A device from the first word to a server that answers: connect, check, furnish, serve.

In: an address. Out: an open connection to the server there, and what the device is. Everything that
can be refused is refused before anything is sent.
"""

import secrets
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.errors import DeviceError, UnreachableError
from deployopt.core.text import safe_text
from deployopt.core.version import VERSION
from deployopt.device.serving_words import Ready, decode_word
from deployopt.remote.address import Address
from deployopt.remote.facts import Facts, check_arch, check_system
from deployopt.remote.holding import Claim
from deployopt.remote.installing import Installer
from deployopt.remote.link import Link, RefusedError, Signs, error_of
from deployopt.remote.packing import Code
from deployopt.remote.program import program
from deployopt.remote.ssh import Settings, fatal_trouble, ssh_command
from deployopt.store.staging import staged_folder

_CONNECT_S: Final = 60.0
_START_S: Final = 180.0
"""The first import of the packages on a slow card."""


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted of a device; the same for every connection to it."""

    address: Address
    settings: Settings
    code: Code
    arch: str | None = None
    packages: tuple[str, ...] = ()
    scratch: Path
    claim: str = ""
    """By which a device lets us in that is held for our call."""


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A server that waits for questions."""

    link: Link
    nonce: str
    facts: Facts
    ready: Ready


def open_session(wish: Wish, signs: Signs) -> Session:
    """Connect and furnish.

    Raises:
        UsageError: the device is of another architecture than the target.
        UnreachableError: it cannot be used, and why.
        LostError: the connection ended; another attempt may do.
    """
    nonce = secrets.token_hex(16)
    command = ssh_command(wish.address, wish.settings)
    link = Link(command, nonce, lambda code, said: fatal_trouble(wish.address, code, said))
    try:
        return _opened(wish, link, nonce, signs)
    except RefusedError as error:
        link.close()
        found = error_of(error)
        # Nothing was asked of a model yet.
        lasting = UnreachableError(str(found)) if isinstance(found, DeviceError) else found
        raise lasting from error
    except BaseException:
        link.close()
        raise


def _opened(wish: Wish, link: Link, nonce: str, signs: Signs) -> Session:
    where, own = str(wish.address), wish.settings.python
    link.begin(program(nonce), _CONNECT_S)
    facts = decode_word(link.answer("facts", _CONNECT_S), Facts)
    check_arch(where, facts, wish.arch)
    check_system(where, facts)
    _use(where, link, wish.claim)
    with staged_folder(wish.scratch) as folder:
        installer = Installer(where, link, facts, folder, signs)
        python = installer.install(wish.code, wish.packages, own=own is not None)
    serve = {"python": own or python, "code": wish.code.digest}
    ready = decode_word(link.ask("serve", serve, "ready", _START_S), Ready)
    if ready.version != VERSION:
        raise UnreachableError(
            f"{where} answers with deployopt {safe_text(ready.version, 40)}; this is {VERSION}."
        )
    return Session(link=link, nonce=nonce, facts=facts, ready=ready)


def _use(where: str, link: Link, token: str) -> None:
    """Use the device beside others, unless a call has it for itself."""
    try:
        link.ask("claim", Claim(token=token), "claimed", _CONNECT_S)
    except RefusedError as error:
        raise UnreachableError(f"{where} cannot be used: {error}") from error
