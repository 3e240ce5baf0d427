"""Sizes that a graph leaves open."""

import pytest

from deployopt.core.interface import ArrayInput
from deployopt.pipeline.assuming import assumed_shapes


def one(dtype: str, *shape: int | str, name: str = "x") -> ArrayInput:
    return ArrayInput(name=name, dtype=dtype, shape=shape)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (one("int64", "batch", "sequence"), (1, 128)),
        (one("int64", "x_0", "x_1"), (1, 128)),
        (one("int32", 4, "n"), (4, 128)),
        (one("float32", "N", 3, "H", "W"), (1, 3, 224, 224)),
        (one("float32", "N", "H", "W", 3), (1, 224, 224, 3)),
        (one("uint8", "N", 1, 28, 28), (1, 1, 28, 28)),
        (one("float32", "N", 3, 640, "W"), (1, 3, 640, 224)),
        (one("float32", "batch", "seq_len", 768), (1, 128, 768)),
        (one("float32", "batch", "features"), (1, 1)),
        (one("float32", "N", 3, "height"), (1, 3, 224)),
        (one("float32"), ()),
    ],
)
def test_a_batch_is_1_a_side_224_and_a_text_128_tokens(
    given: ArrayInput, expected: tuple[int, ...]
) -> None:
    shapes, said = assumed_shapes([given])
    assert shapes == {"x": expected}
    for size, name in zip(expected, given.shape, strict=True):
        assert not isinstance(name, str) or f"{name} {size}" in said


def test_the_same_name_is_the_same_size() -> None:
    shapes, said = assumed_shapes(
        [one("int64", "b", "s", name="ids"), one("float32", "b", 4, "s", "s", name="mask")]
    )
    assert shapes["mask"] == (1, 4, *(shapes["ids"][1],) * 2)
    assert said.count("s ") >= 1


def test_nothing_is_said_where_nothing_is_open() -> None:
    assert assumed_shapes([one("float32", 1, 3, 8, 8)]) == ({"x": (1, 3, 8, 8)}, "")
