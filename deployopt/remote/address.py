"""The address of a device, as a person writes it: `ssh://[user@]host[:port]`.

In: text. Out: an Address whose every part can stand in an argument list. Refuses what ssh could
take for an option or a command, a password, and a path.
"""

import ipaddress
import re
from typing import Final

import msgspec

from deployopt.core.errors import UsageError
from deployopt.core.text import safe_text

SCHEME: Final = "ssh://"
_FORM: Final = "ssh://[user@]host[:port], e.g. ssh://pi@raspberrypi.local"
_USER: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
_HOST: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,252}")
_SIX: Final = re.compile(r"\[(?P<host>[0-9A-Fa-f:.]+(?:%[A-Za-z0-9_][A-Za-z0-9._-]{0,15})?)\]")
_PORT: Final = re.compile(r"[0-9]{1,5}", re.ASCII)
_PORT_MAX: Final = 65535
_SHOWN: Final = 80


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """Where a device listens; None: what the user's own ssh settings say."""

    host: str
    user: str | None = None
    port: int | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        user = "" if self.user is None else f"{self.user}@"
        return f"{SCHEME}{user}{host}{'' if self.port is None else f':{self.port}'}"


def parse_address(text: str) -> Address:
    """Read an address.

    Raises:
        UsageError: it is not of the form, and which part is not.
    """
    if not text.startswith(SCHEME):
        raise _refused(text, "it does not begin with ssh://")
    rest = text.removeprefix(SCHEME).removesuffix("/")
    user, sign, place = rest.rpartition("@")
    if sign and ":" in user:
        raise UsageError(
            "A device's address holds no password. Put a key on the device instead (ssh-copy-id), "
            f"and write {_FORM}."
        )
    if sign and not _USER.fullmatch(user):
        raise _refused(text, "its user is not a name of letters, digits, '.', '_' and '-'")
    host, port = _host_and_port(text, place)
    return Address(host=host, user=user if sign else None, port=port)


def _host_and_port(text: str, place: str) -> tuple[str, int | None]:
    six = _SIX.match(place)
    if six:
        host, rest = six["host"], place[six.end() :]
        _check_six(text, host)
    else:
        host, colon, port = place.partition(":")
        rest = colon + port
        if not _HOST.fullmatch(host):
            raise _refused(text, "its host is not a name or a number")
    if not rest:
        return host, None
    number = rest.removeprefix(":")
    if not rest.startswith(":") or not _PORT.fullmatch(number):
        raise _refused(text, "what follows the host is not a port")
    if not 1 <= int(number) <= _PORT_MAX:
        raise _refused(text, f"its port is not between 1 and {_PORT_MAX}")
    return host, int(number)


def _check_six(text: str, host: str) -> None:
    try:
        ipaddress.IPv6Address(host)
    except ValueError as error:
        raise _refused(text, "its host is not an IPv6 address") from error


def _refused(text: str, why: str) -> UsageError:
    shown = safe_text(text, _SHOWN)
    return UsageError(f"{shown!r} is not the address of a device: {why}. Write {_FORM}.")
