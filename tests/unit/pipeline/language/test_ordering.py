"""Forms that answer as fast are told apart by what they lost."""

import msgspec

from deployopt.core.card import CardSummary
from deployopt.pipeline.candidates import Candidate
from deployopt.pipeline.language.ordering import likelier_first
from tests.fakes.candidates import candidate
from tests.fakes.language import answered_trial, scored_trial

ROUNDS = 13  # one of them is void


def form(name: str, token_s: float, increase: float) -> Candidate:
    return msgspec.structs.replace(
        candidate(name, 0.010),
        accuracy=None,
        trial=answered_trial(0.05, token_s, rounds=ROUNDS),
        scores=scored_trial(increase),
    )


def names(*finalists: Candidate) -> list[str]:
    kept, words = likelier_first(finalists)
    told = {one.recipe.name for one in finalists} - {one.recipe.name for one in kept}
    assert set(words) == told
    return [one.recipe.name for one in kept]


def test_of_two_that_are_as_fast_the_likelier_is_asked_alone() -> None:
    """The other one would be asked before it, and may keep it from being asked."""
    pair = form("int8", 0.010, 0.012), form("blocks", 0.010, 0.0002)
    assert names(*pair) == ["blocks"]
    assert likelier_first(pair)[1] == {"int8": "as fast as blocks, which lost less"}


def test_one_that_is_shown_to_be_faster_stays_in_front() -> None:
    order = names(form("int4", 0.005, 0.015), form("blocks", 0.010, 0.0002))
    assert order == ["int4", "blocks"]


def test_only_those_level_with_the_fastest_are_left_out_and_float_stays_last() -> None:
    order = names(
        form("int4", 0.005, 0.018),
        form("int4 again", 0.005, 0.015),
        form("int8", 0.010, 0.012),
        form("blocks", 0.010, 0.0002),
        form("float", 0.020, 0.0),
    )
    assert order == ["int4 again", "int8", "blocks", "float"]


def test_nothing_to_order() -> None:
    assert names() == []
    assert names(form("float", 0.020, 0.0)) == ["float"]


def test_on_a_card_predictions_within_five_per_cent_say_nothing() -> None:
    def for_card(name: str, answer_s: float | None, increase: float) -> Candidate:
        card = CardSummary(
            compute_capability="8.6",
            version="0.18.0",
            answer_s=answer_s,
            answer_tokens=32,
            prompt_tokens=64,
        )
        return msgspec.structs.replace(form(name, 0.01, increase), trial=None, card=card)

    order = names(
        for_card("int4", 0.100, 0.018),
        for_card("int8", 0.104, 0.001),
        for_card("slow", 0.106, 0.0),
        for_card("float16", 0.2, 0.0),
    )
    assert order == ["int8", "slow", "float16"]
