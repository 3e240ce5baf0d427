"""The words of a comparison."""

import msgspec
import pytest

from deployopt.core.comparison import Change, Margins
from deployopt.core.regression import (
    accuracy_difference,
    latency_difference,
    operator_difference,
    precision_difference,
    size_difference,
)
from deployopt.core.verdict import Outcome
from deployopt.reports import comparison_words as words
from tests.fakes.comparing import MIB, answers, comparison, crashed, pair

SLOWER = latency_difference(*pair(1.12), 0.05)
FASTER = latency_difference(*pair(0.7), 0.05)
LOST = accuracy_difference(answers(120, 20), 0.01)
LARGER = size_difference(20 * MIB, 30 * MIB, 0.05)


def test_a_change_is_told_of_the_quantity_that_is_shown() -> None:
    assert words.change_words(LARGER) == "+50.0 %"
    assert words.bounds_words(LARGER) == "—"
    assert words.change_words(LOST) == "-3.33 pt"
    low, _, high = words.bounds_words(LOST).removesuffix(" pt").partition(" to ")
    assert float(low) < -3.33 < float(high) < 0
    assert words.old_words(LOST) == "89.33 %"
    assert words.old_words(LARGER) == "20.0 MiB"
    assert words.change_words(operator_difference({"Add": 1}, {"Add": 16})) == "+15"
    assert words.change_words(operator_difference({"Add": 1}, {"Add": 1})) == "0"
    assert words.change_words(precision_difference("fp32", "int8")) == "—"
    assert words.new_words(precision_difference("fp32", "int8")) == "int8"


def test_better_is_said_in_the_words_of_the_aspect() -> None:
    assert words.change_word(FASTER) == "faster"
    assert words.change_word(size_difference(20, 10, 0.05)) == "smaller"
    assert words.change_word(accuracy_difference(answers(0, 90), 0.01)) == "better"
    assert words.change_word(SLOWER) == "regressed"


def test_by_how_much_names_the_bound_that_is_sure() -> None:
    told = words.by_how_much(SLOWER)
    assert told.startswith("latency p50 1")
    assert " % slower, at least " in told
    assert words.by_how_much(LARGER) == "artifact size 50.0 % larger"
    assert words.by_how_much(LOST).startswith("accuracy 3.33 pt lost, at least 2.")
    assert words.by_how_much(msgspec.structs.replace(SLOWER, change=None)) == "latency p50"


@pytest.mark.parametrize(
    ("outcome", "part"),
    [
        (Outcome.ACCEPTED, "no worse within the margins, and smaller"),
        (Outcome.REJECTED, "regressed: latency p50 1"),
        (Outcome.UNDECIDED, "neither shown to be worse nor shown not to be: latency p50"),
    ],
)
def test_the_whole_in_a_line(outcome: Outcome, part: str) -> None:
    assert words.in_short(comparison(outcome)).startswith(part)


def test_a_crash_is_no_regression_of_one_aspect() -> None:
    assert words.in_short(crashed()) == "the new one does not answer as it must"


def test_margins_and_places() -> None:
    assert words.margin_words(Margins()) == "5 % of latency, memory and size; 1 pt of accuracy"
    assert words.place_words(comparison()) == "this machine"
    proxy = comparison(mismatch="the machine is x86_64 and rpi4 is aarch64")
    assert words.place_words(proxy).startswith("this machine, a proxy: the machine is x86_64")
    assert words.rounds_words(comparison()) == "24 pairs of rounds, one beside the other"


def test_notes_are_of_what_is_not_simply_good() -> None:
    named = dict(words.notes_of(comparison(Outcome.UNDECIDED)))
    assert set(named) == {"latency p50", "operators"}
    assert "Measure again on a quiet machine" in named["latency p50"]
    assert [d.outcome for d in comparison().differences if d.outcome is Change.REGRESSED] == []
