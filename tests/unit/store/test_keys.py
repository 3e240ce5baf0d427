"""One input, one key; any other input, another key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployopt.store.keys import JsonValue, cache_key, encode

FIELDS: dict[str, JsonValue] = {
    "step": "quantize",
    "version": 1,
    "options": {"per_channel": True, "reduce_range": False, "ratio": 0.5, "skip": None},
    "inputs": ["a" * 64, "b" * 64],
    "tools": {"onnxruntime": "1.31.1"},
    "target": "rpi4",
    "data": "c" * 64,
    "seed": 0,
}
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def same(first: JsonValue, second: JsonValue) -> bool:
    """JSON equality that also keeps 1, 1.0, true, and 0.0, -0.0 apart."""
    return repr(_sorted(first)) == repr(_sorted(second))


def _sorted(value: JsonValue) -> object:
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(entry) for entry in value] if isinstance(value, list) else value


def test_a_key_is_256_bits_and_never_changes_between_versions() -> None:
    assert cache_key(FIELDS) == "df63fd481a6f86301d3fa17f8bda3e60dc559c3b857a545b89083d6ca27fcefb"


@pytest.mark.parametrize("name", FIELDS)
def test_any_field_changed_or_left_out_gives_another_key(name: str) -> None:
    assert cache_key({**FIELDS, name: "other"}) != cache_key(FIELDS)
    assert cache_key({k: v for k, v in FIELDS.items() if k != name}) != cache_key(FIELDS)


def test_the_order_of_fields_does_not_count() -> None:
    assert cache_key({name: FIELDS[name] for name in reversed(FIELDS)}) == cache_key(FIELDS)


def test_the_order_of_list_entries_counts() -> None:
    assert cache_key({"inputs": ["a", "b"]}) != cache_key({"inputs": ["b", "a"]})


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (["ab", "c"], ["a", "bc"]),
        ([["a"], "b"], [["a", "b"]]),
        ([1, 23], [12, 3]),
        ([], {}),
        ([], ""),
        (None, "null"),
        ({"a": {"b": 1}}, {"a": {}, "b": 1}),
        (0.1 + 0.2, 0.3),
        (1, True),
        (0, False),
        (0.0, -0.0),
        ("\u00e9", "e\u0301"),
    ],
)
def test_what_could_be_mistaken_is_framed_apart(first: JsonValue, second: JsonValue) -> None:
    assert encode(first) != encode(second)


@given(VALUES, VALUES)
def test_equal_values_and_only_those_have_equal_bytes(first: JsonValue, second: JsonValue) -> None:
    assert (encode(first) == encode(second)) is same(first, second)


@given(st.lists(VALUES, max_size=4), st.lists(VALUES, max_size=4))
def test_no_encoding_is_the_start_of_another(
    first: list[JsonValue], second: list[JsonValue]
) -> None:
    left, right = encode(first), encode(second)
    assert left == right or not left.startswith(right)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_not_finite_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match="not a finite number"):
        cache_key({"options": [number]})


@pytest.mark.parametrize("value", [b"bytes", {1: "a"}, {"a": {2, 3}}, object()])
def test_what_json_does_not_know_is_refused(value: JsonValue) -> None:
    with pytest.raises(TypeError):
        cache_key({"options": value})


def test_tuples_and_lists_are_the_same_list() -> None:
    assert cache_key({"a": (1, 2)}) == cache_key({"a": [1, 2]})
