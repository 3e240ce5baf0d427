"""What is an address, and that nothing in one can be taken for an option."""

import re
from string import printable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployopt.core.errors import UsageError
from deployopt.remote.address import Address, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("ssh://pi", Address(host="pi")),
        ("ssh://pi/", Address(host="pi")),
        ("ssh://pi@raspberrypi.local", Address(user="pi", host="raspberrypi.local")),
        ("ssh://127.0.0.1:2222", Address(host="127.0.0.1", port=2222)),
        ("ssh://a.b-c_d@h-1.x_y:65535", Address(user="a.b-c_d", host="h-1.x_y", port=65535)),
        ("ssh://[::1]:22", Address(host="::1", port=22)),
        ("ssh://me@[fe80::1%eth0]", Address(user="me", host="fe80::1%eth0")),
    ],
)
def test_right(text: str, address: Address) -> None:
    assert parse_address(text) == address
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "does not begin with ssh://"),
        ("pi@host", "does not begin with ssh://"),
        ("SSH://host", "does not begin with ssh://"),
        ("http://host", "does not begin with ssh://"),
        ("ssh://", "host is not a name"),
        ("ssh://@host", "user is not a name"),
        ("ssh://-oProxyCommand=x", "host is not a name"),
        ("ssh://-l@host", "user is not a name"),
        ("ssh://a b@host", "user is not a name"),
        ("ssh://pi:secret@host", "holds no password"),
        ("ssh://host/path", "host is not a name"),
        ("ssh://host:22/path", "is not a port"),
        ("ssh://host:", "is not a port"),
        ("ssh://host:x", "is not a port"),
        ("ssh://host:-1", "is not a port"),
        ("ssh://host:٢٢", "is not a port"),
        ("ssh://host:0", "not between 1 and 65535"),
        ("ssh://host:65536", "not between 1 and 65535"),
        ("ssh://host:123456", "is not a port"),
        ("ssh://[::1", "host is not a name"),
        ("ssh://[:::]", "not an IPv6 address"),
        ("ssh://[::1]22", "is not a port"),
        ("ssh://hôte", "host is not a name"),
        ("ssh://host$(id)", "host is not a name"),
        ("ssh://host\n-x", "host is not a name"),
        ("ssh://host?x=1", "host is not a name"),
    ],
)
def test_wrong(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=re.escape(why)) as caught:
        parse_address(text)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


@given(st.text(alphabet=printable, max_size=40))
def test_no_part_of_any_address_is_an_option_or_a_command(rest: str) -> None:
    try:
        address = parse_address(f"ssh://{rest}")
    except UsageError:
        return
    plain = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
    assert plain.fullmatch(address.host) or re.fullmatch(r"[0-9A-Fa-f:.]+(%[\w.-]+)?", address.host)
    assert address.user is None or plain.fullmatch(address.user)
    assert address.port is None or 1 <= address.port <= 65535
    assert parse_address(str(address)) == address
