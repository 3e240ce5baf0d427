"""Messages about files: the path of the key, plain words, the nearest right word."""

from typing import Annotated, Literal

import msgspec
import pytest

from deployopt.core.explain import explain, field_names, nearest_word

Code = Annotated[str, msgspec.Meta(pattern="^[a-z]+$", description="small letters")]


class Leaf(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    colour: Literal["red", "green"] = "red"
    code: Code = "a"
    count: Annotated[int, msgspec.Meta(ge=1)] = 1


class Root(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    leaf: Leaf | None = None
    leaves: tuple[Leaf, ...] = ()


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (
            {"leaf": {"colour": "gren"}},
            "leaf.colour: 'gren' is none of red, green; did you mean 'green'?",
        ),
        ({"leaf": {"colour": "zz"}}, "leaf.colour: 'zz' is none of red, green"),
        ({"leaf": {"code": "A1"}}, "leaf.code: expected small letters"),
        ({"leaf": {"count": 0}}, "leaf.count: expected a whole number >= 1"),
        ({"leaves": [{}, {"colur": 1}]}, "unknown key 'leaves[1].colur'; did you mean 'colour'?"),
        (
            {"leaf": {"leafs": 1}},
            "unknown key 'leaf.leafs'; did you mean 'leaf', in another table?",
        ),
    ],
)
def test_in_words(tree: object, message: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert(tree, Root)
    assert explain(str(caught.value), Root) == message


def test_every_key_is_known() -> None:
    assert field_names(Root) == {"leaf", "leaves", "colour", "code", "count"}


def test_nearest_word() -> None:
    assert nearest_word("laef", ["leaf", "colour"]) == "leaf"
    assert nearest_word("qqqq", ["leaf", "colour"]) is None
