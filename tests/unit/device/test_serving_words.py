"""What an answer is bound to."""

import msgspec
import pytest

from deployopt.core.errors import IntegrityError
from deployopt.device.serving_words import Have, Placed, bound_to, decode_word


def test_an_answer_is_of_one_question_over_one_connection() -> None:
    bound = bound_to("n", 1, b"question")
    assert bound == bound_to("n", 1, b"question")
    others = {bound_to("m", 1, b"question"), bound_to("n", 2, b"question"), bound_to("n", 1, b"q")}
    assert bound not in others
    assert len(others) == 3


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b'{"digests":1}', b'{"digests":[],"more":1}', b"[" * 99999, b"\xff"],
)
def test_another_form_is_refused_on_one_short_line(body: bytes) -> None:
    with pytest.raises(IntegrityError) as caught:
        decode_word(body, Have)
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


def test_paths_are_read() -> None:
    body = msgspec.json.encode({"path": "a/b", "sha256": "c"})
    assert decode_word(body, Placed).path.parts == ("a", "b")
