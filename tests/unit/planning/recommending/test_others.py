"""Alternatives differ from the choice, and say what they trade."""

from collections.abc import Callable

from deployopt.planning.recommending.candidate import Candidate
from deployopt.planning.recommending.others import MOST, alternatives, trade

Build = Callable[..., Candidate]


def test_other_tiers_and_families_come_first(candidate: Build) -> None:
    first = candidate("first", family="bert")
    alike = [candidate(f"alike{n}", family="bert") for n in range(6)]
    other = candidate("other", family="roberta", tier="large")
    found = alternatives([first, *alike, other])
    assert len(found) == MOST
    assert found[-1] is other
    assert first not in found


def test_a_trade_has_numbers(candidate: Build) -> None:
    first = candidate("first", 91.0, 0.1)
    other = candidate("other", 93.3, 0.21, parameters=20_000_000)
    assert trade(other, first) == ("2.1 x slower, +2.3 points on SST-2 test, 2 x the parameters")
    assert trade(first, other).startswith("2.1 x faster, -2.3 points")


def test_what_cannot_be_compared_says_so(candidate: Build) -> None:
    first = candidate("first", 91.0, 0.1)
    assert trade(candidate("other", None, None), first) == "quality not comparable, as large"
