"""Text out of tokens that end within characters."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from deployopt.device.chatting.pieces import Pieces


def read(ids: Sequence[int]) -> str:
    """A byte a token."""
    return bytes(ids).decode("utf-8", "replace")


def pieces_of(data: bytes) -> list[str]:
    pieces = Pieces(read)
    return [*(pieces.add(byte) for byte in data), pieces.rest()]


@given(st.text())
def test_the_pieces_are_the_text(text: str) -> None:
    data = text.encode("utf-8", "replace")
    found = pieces_of(data)
    assert "".join(found) == data.decode()
    assert all(len(piece) <= 1 for piece in found)


def test_a_character_comes_with_its_last_byte() -> None:
    assert pieces_of("a你\N{GRINNING FACE}".encode()) == [
        "a", "", "", "你", "", "", "", "\N{GRINNING FACE}", "",
    ]  # fmt: skip


def test_bytes_that_are_none_do_not_hold_up_what_follows() -> None:
    assert "".join(pieces_of(b"\xff\xff\xff\xffabc")) == "\ufffd" * 4 + "abc"
    assert "".join(pieces_of(b"\xe4\xbdabc")) == "\ufffdabc"


def test_an_end_within_a_character_is_shown() -> None:
    assert pieces_of("a你".encode()[:-1])[-1] == "\ufffd"


def test_a_word_s_blank_is_kept_where_decoders_drop_a_first_one() -> None:
    words = ["", " one", " two", " three"]
    pieces = Pieces(lambda ids: "".join(words[i] for i in ids).removeprefix(" "))
    assert [pieces.add(i) for i in (1, 2, 3)] == ["one", " two", " three"]
