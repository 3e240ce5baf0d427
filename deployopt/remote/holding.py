"""A device held for one call: nobody without its token uses it until the connection ends.

In: an address and a token. Out: a connection that does nothing but last. What measures there comes
by connections of its own, with the token.
"""

import secrets
from typing import Final

import msgspec

from deployopt.core.errors import DeployoptError, UnreachableError, UsageError
from deployopt.device.serving_words import decode_word
from deployopt.remote.address import parse_address
from deployopt.remote.facts import Facts, check_arch
from deployopt.remote.link import Link, LostError, RefusedError
from deployopt.remote.program import program
from deployopt.remote.ssh import Settings, fatal_trouble, settings_here, ssh_command, unreachable

_CONNECT_S: Final = 60.0


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """What the helper is told; `hold`: for all who show the token, and nobody else."""

    token: str = ""
    hold: bool = False


class Hold:
    """One device, held from its beginning until `close`."""

    def __init__(
        self, url: str, token: str, *, arch: str, settings: Settings | None = None
    ) -> None:
        """Reach it and hold it.

        Raises:
            UsageError: the address is none, or the device is of another architecture.
            UnreachableError: it cannot be reached, or another call uses it.
        """
        self._address = parse_address(url)
        self._token = token
        self._arch = arch
        self._settings = settings or settings_here()
        self._link = self._held()

    def lasts(self) -> bool:
        """Whether it is still held; a connection that was lost is made again, once."""
        if self._link.lives():
            return True
        self._link.close()
        try:
            self._link = self._held()
        except DeployoptError:
            # Also that it is held by our own token: the device has not noticed the loss yet.
            return False
        return True

    def close(self) -> None:
        """Let go."""
        self._link.close()

    def _held(self) -> Link:
        nonce = secrets.token_hex(16)
        address = self._address
        command = ssh_command(address, self._settings)
        link = Link(command, nonce, lambda code, said: fatal_trouble(address, code, said))
        try:
            link.begin(program(nonce), _CONNECT_S)
            facts = decode_word(link.answer("facts", _CONNECT_S), Facts)
            check_arch(str(address), facts, self._arch)
            link.ask("claim", Claim(token=self._token, hold=True), "claimed", _CONNECT_S)
        except RefusedError as error:
            link.close()
            kind = UsageError if error.kind == "usage" else UnreachableError
            raise kind(f"{address} cannot be used: {error}") from error
        except LostError as error:
            link.close()
            raise unreachable(address, error.code, error.said) from error
        except BaseException:
            link.close()
            raise
        return link
