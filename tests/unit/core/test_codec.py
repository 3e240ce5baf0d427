"""Records to bytes and back: canonical, strict, every error on one line with its key path."""

import json

import msgspec
import pytest

from deployopt.core.codec import (
    DEPTH_MAX,
    TOML_MAX,
    decode_json,
    decode_toml,
    encode_json,
    encode_pretty,
    to_plain,
)
from deployopt.core.errors import IntegrityError, UsageError
from deployopt.core.units import Size


class Inner(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    room: Size
    words: tuple[str, ...] = ()


class Outer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    inner: Inner | None = None
    limits: dict[str, int] = {}


def message_of(text: str | bytes) -> str:
    data = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(UsageError) as caught:
        decode_toml(data, Outer, where="a.toml")
    message = str(caught.value)
    assert message.startswith("a.toml: ")
    assert message.isprintable()
    assert len(message) <= 500
    return message


def test_json_is_canonical_and_reads_back() -> None:
    record = Outer(name="x", inner=Inner(room=Size(1.5)), limits={"b": 1, "a": 2})
    data = encode_json(record)
    assert data == (b'{"inner":{"room":"1.5 B","words":[]},"limits":{"a":2,"b":1},"name":"x"}')
    assert decode_json(data, Outer, where="it") == record
    assert decode_json(encode_pretty(record), Outer, where="it") == record
    assert to_plain(record) == json.loads(data)


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (b"{", "it cannot be read"),
        (b'{"name":"x","inner":{"room":"1"}}', "inner.room: '1' has no unit"),
        (b'{"name":"x","nam":1}', "unknown key 'nam'; did you mean 'name'?"),
        (b"\xff", "it cannot be read"),
        (b"[" * 100_000, "it cannot be read"),
    ],
)
def test_json_that_was_not_written_here(data: bytes, part: str) -> None:
    with pytest.raises(IntegrityError) as caught:
        decode_json(data, Outer, where="it")
    assert part in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nam = 'x'", "unknown key 'nam'; did you mean 'name'?"),
        ("name = 'x'\n[inner]\nrom = '1 B'", "unknown key 'inner.rom'; did you mean 'room'?"),
        (
            "name = 'x'\n[inner]\nname = 'y'",
            "unknown key 'inner.name'; 'name' belongs in another table.",
        ),
        ("name = 'x'\nzzzz = 1", "unknown key 'zzzz'."),
        ("name = 3", "name: expected text in quotes, got a whole number."),
        ("", "name is missing."),
        ("name = 'x'\n[inner]", "inner.room is missing."),
        (
            "name = 'x'\ninner = 3",
            "inner: expected a table of keys or nothing, got a whole number.",
        ),
        (
            "name = 'x'\ninner.room = '1 s'",
            (
                "inner.room: '1 s' has the unit 's'; "
                "a size is given in B, kB, KiB, MB, MiB, GB, GiB, TB."
            ),
        ),
        (
            "name = 'x'\ninner.room = 1",
            'inner.room: expected text with a unit such as "1 MiB", got 1.',
        ),
        (
            "name = 'x'\n[limits]\nok = 1\nbad = 'two'",
            "limits.bad: expected a whole number, got text in quotes.",
        ),
        (
            "name = 'x'\ninner.room = '1 B'\ninner.words = [1]",
            "inner.words[0]: expected text in quotes, got a whole number.",
        ),
    ],
)
def test_toml_errors_word_for_word(text: str, message: str) -> None:
    assert message_of(text) == f"a.toml: {message}"


def test_not_toml_names_the_line() -> None:
    assert "not valid TOML" in message_of("name = \n")
    assert "line 1" in message_of("name = \n")
    assert "byte 8" in message_of(b"name = '\xff'")


def test_depth_and_size_have_limits() -> None:
    assert "larger than" in message_of(b"#" * (TOML_MAX + 1))
    assert f"deeper than {DEPTH_MAX}" in message_of("name = " + "[" * 50 + "]" * 50)
    assert f"deeper than {DEPTH_MAX}" in message_of("name = " + "[" * 50_000 + "]" * 50_000)
    assert f"deeper than {DEPTH_MAX}" in message_of(".".join(["a"] * 40) + " = 1")


@pytest.mark.parametrize("escape", ["\\u0000", "\\u202E", "\\u200B", "\\u001b", "\\n", "\\u2028"])
def test_hidden_characters_are_refused(escape: str) -> None:
    assert message_of(f'name = "a{escape}b"').startswith("a.toml: name: the text holds the hidden")
    assert "hidden character" in message_of(f'"a{escape}b" = 1')


def test_backticks_in_a_key_do_not_confuse_the_message() -> None:
    assert message_of("'a` - at `$.inner' = 1").startswith("a.toml: unknown key")
