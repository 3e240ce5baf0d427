"""Protobuf text that nothing in it can break."""

import pytest

from deployopt.pipeline.exporting.pbtxt import Comment, Message, Word, write_message
from tests.fakes.served import read_config

pytest.importorskip("google.protobuf")


@pytest.mark.parametrize(
    "name", ["plain", 'a"b', "a\\", 'a\nbackend: "x"', "é\u202e\x00", "'#{}", "\\n\\042"]
)
def test_any_text_comes_back(name: str) -> None:
    text = write_message([Comment("said"), ("name", name), ("max_batch_size", 3)])
    found = read_config(text)
    assert (found.name, found.max_batch_size, found.backend) == (name, 3, "")
    assert text.isascii()


def test_every_kind_of_value() -> None:
    text = write_message(
        [
            (
                "input",
                Message((("name", "a"), ("data_type", Word("TYPE_FP32")), ("dims", [1, -1]))),
            ),
            ("input", Message((("name", "b"), ("dims", []), ("optional", True)))),
        ]
    )
    first, second = read_config(text).input
    assert (first.name, first.data_type, list(first.dims)) == ("a", 11, [1, -1])
    assert (second.name, list(second.dims), second.optional) == ("b", [], True)
