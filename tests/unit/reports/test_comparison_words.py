"""The words of a comparison."""

import msgspec
import pytest

from deployopt.core.comparison import Change, Comparison
from deployopt.core.language_regression import (
    agreement_difference,
    decode_difference,
    first_token_difference,
    full_context_difference,
    nll_difference,
)
from deployopt.core.regression import (
    accuracy_difference,
    latency_difference,
    size_difference,
)
from deployopt.core.told_differences import operator_difference, precision_difference
from deployopt.core.verdict import Outcome
from deployopt.reports import comparison_words as words
from tests.fakes.comparing import MIB, answer_pair, answers, comparison, crashed, pair
from tests.fakes.language import scored_trial

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
    assert words.margin_words(comparison()) == "5 % of latency, memory and size; 1 pt of accuracy"
    assert words.place_words(comparison()) == "this machine"
    proxy = comparison(mismatch="the machine is x86_64 and rpi4 is aarch64")
    assert words.place_words(proxy).startswith("this machine, a proxy: the machine is x86_64")
    assert words.rounds_words(comparison()) == "24 pairs of rounds, one beside the other"


def test_notes_are_of_what_is_not_simply_good() -> None:
    named = dict(words.notes_of(comparison(Outcome.UNDECIDED)))
    assert set(named) == {"latency p50", "operators"}
    assert "Measure again on a quiet machine" in named["latency p50"]
    assert [d.outcome for d in comparison().differences if d.outcome is Change.REGRESSED] == []


def _language() -> Comparison:
    old, new = answer_pair(0.8)
    scores = scored_trial(0.006, disagree=0.1)
    agreed = agreement_difference(scores)
    full = full_context_difference(100 * MIB, 80 * MIB, (old, new), 0.05)
    assert agreed is not None
    assert full is not None
    return msgspec.structs.replace(
        comparison(),
        differences=(
            first_token_difference(old, new, 0.05),
            decode_difference(old, new, 0.05),
            nll_difference(scores, 0.02),
            agreed,
            full,
        ),
    )


def test_a_language_model_is_told_in_its_own_terms() -> None:
    found = _language()
    first, decode, nll, agreed, full = found.differences
    assert [words.aspect_words(d) for d in found.differences] == [
        "first token", "tokens/s", "NLL", "agreement", "full context",
    ]  # fmt: skip
    assert words.change_words(first).startswith("-")
    assert words.change_words(decode).startswith("+2")  # more of them, as each takes less time
    low, high = words.bounds_words(decode).removesuffix(" %").split(" to ")
    assert 0 < float(low) < float(high)
    assert words.old_words(decode).endswith("tok/s")
    assert (words.change_word(decode), words.change_word(full)) == ("faster", "less")
    assert words.change_words(nll) == "+0.57 %"
    assert words.change_words(agreed).endswith(" pt")
    assert words.change_word(agreed) == "changed"
    assert words.margin_words(found) == "5 % of times, memory and size; 2 % of NLL"
    assert words.in_short(found) == "no worse within the margins, and faster and less"


def test_a_language_model_that_regressed() -> None:
    old, new = answer_pair(1.25)
    worse = decode_difference(old, new, 0.05), nll_difference(scored_trial(0.05), 0.02)
    found = msgspec.structs.replace(comparison(), outcome=Outcome.REJECTED, differences=worse)
    assert words.in_short(found).startswith("regressed: tokens/s 19")
    assert "NLL 4.76" in words.in_short(found)
    assert "% higher, at least" in words.in_short(found)
    both = first_token_difference(old, new, 0.2), decode_difference(old, new, 0.2)
    same = msgspec.structs.replace(found, differences=both)
    assert len(words.notes_of(same)) <= 2
