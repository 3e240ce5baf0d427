"""Values of a config: what is taken, what is refused, and in which words."""

import math

import pytest

from deployopt.core.errors import UsageError
from deployopt.planning.architectures.keys import Keys, show


def keys(**values: object) -> Keys:
    return Keys(values=values)


def test_missing_and_null_are_the_default() -> None:
    assert keys().whole("a", 3) == 3
    assert keys(a=None).whole("a", 3) == 3
    assert keys(a=4).whole("a", 3) == 4


def test_null_in_place_of_an_optional_number_means_none() -> None:
    assert keys().optional("a", 3) == 3
    assert keys(a=None).optional("a", 3) is None
    assert keys(a=0).optional("a", 3) is None


def test_a_missing_value_without_default_says_what_to_do() -> None:
    with pytest.raises(UsageError, match=r"does not say a.*--params 7B --layers 32"):
        keys().whole("a")


@pytest.mark.parametrize("value", [0, -1, True, 1.0, "7", 2**40, [1], {}])
def test_a_whole_number_is_nothing_else(value: object) -> None:
    with pytest.raises(UsageError, match="for a, but a whole number from 1 to 16777216"):
        keys(a=value).whole("a", 1)


@pytest.mark.parametrize("value", [math.nan, math.inf, -1, True, "1", 10**400])
def test_a_number_is_finite_and_inside(value: object) -> None:
    with pytest.raises(UsageError, match="a number from 0 to 9"):
        keys(a=value).number("a", 1, least=0, most=9)


def test_the_path_leads_to_the_nested_key() -> None:
    inner = keys(text_config={"hidden_size": "wide"}).part("text_config")
    assert inner is not None
    with pytest.raises(UsageError, match=r'"wide" for text_config\.hidden_size'):
        inner.whole("hidden_size", 1)


def test_another_name_is_found_first() -> None:
    named = keys(n_head_kv=2, heads=3).named(kv=("num_kv_heads", "n_head_kv"), heads="n_head")
    assert named.whole("kv") == 2
    assert named.whole("heads") == 3
    assert named.whole("layers", 5) == 5


@pytest.mark.parametrize("value", ["true", 1, 0])
def test_a_flag_is_true_or_false(value: object) -> None:
    with pytest.raises(UsageError, match="true or false"):
        keys(a=value).flag("a", default=True)


def test_lists_are_checked_entry_by_entry() -> None:
    assert keys(a=[1, 2]).wholes("a") == (1, 2)
    assert keys().wholes("a", (7,)) == (7,)
    for value in ([1, "2"], [True], "12", [0], [1] * (1 << 18)):
        with pytest.raises(UsageError, match="for a, but a list"):
            keys(a=value).wholes("a")


def test_labels_are_counted_by_name_first() -> None:
    assert keys(id2label={"0": "a", "1": "b", "2": "c"}, num_labels=9).labels() == 3
    assert keys(num_labels=9).labels() == 9
    assert keys().labels() == 2


def test_a_value_is_shown_short_and_on_one_line() -> None:
    assert show("x\n" * 90).count("\n") == 0
    assert len(show("x" * 10**6)) < 60
    assert show(10**5000) == "a number of more than 20 digits"
    assert show([[[]]]) == "a list"
    assert show({}) == "an object"
    assert [show(flag) for flag in (True, False)] == ["true", "false"]
