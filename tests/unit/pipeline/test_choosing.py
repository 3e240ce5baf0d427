"""Which candidates go to the gate and in which order, and the words for each."""

import msgspec
import pytest

from deployopt.core.artifact import Format
from deployopt.core.budget import Budget, parse_budget
from deployopt.core.card import CardSummary
from deployopt.core.measurement import Split, Trial
from deployopt.pipeline.candidates import Candidate
from deployopt.pipeline.choosing import choose
from tests.fakes.candidates import candidate
from tests.fakes.language import answered_trial, scored_trial
from tests.fakes.results import BUDGETS, accuracy, estimate, trial


def changed(one: Candidate, **fields: object) -> Candidate:
    return msgspec.structs.replace(one, **fields)


def names_of(candidates: list[Candidate], budgets: tuple[Budget, ...] = BUDGETS) -> list[str]:
    """The finalists' names; everyone has a reason."""
    chosen = choose(candidates, budgets)
    assert set(chosen.reasons) == {one.recipe.name for one in candidates}
    assert all(chosen.reasons.values())
    return [one.recipe.name for one in chosen.finalists]


def test_int8_that_is_faster_is_chosen() -> None:
    both = [candidate("float", 0.020), candidate("int8", 0.010)]
    assert names_of(both) == ["int8", "float"]
    reasons = choose(both, BUDGETS).reasons
    assert reasons["int8"].endswith("x as fast as the float one, measured on the target")
    assert reasons["int8"].startswith(("1.9", "2.0"))
    assert reasons["float"] == "something else is faster"


@pytest.mark.parametrize("median_s", [0.020, 0.024])
def test_no_gain_no_int8(median_s: float) -> None:
    both = [candidate("float", 0.020), candidate("int8", median_s, size_mib=16)]
    assert names_of(both) == ["float"]
    reasons = choose(both, BUDGETS).reasons
    assert reasons["int8"].startswith("no gain over the float one is shown (ratio ")
    assert reasons["float"] == "nothing else is faster and within the budgets"


def test_too_few_rounds_show_nothing_and_say_so() -> None:
    faster = candidate("int8", 0.010)
    assert faster.trial is not None
    few = msgspec.structs.replace(faster.trial, rounds=faster.trial.rounds[:11])
    both = [candidate("float", 0.020), changed(faster, trial=few)]
    assert names_of(both) == ["float"]
    assert "11 rounds count of the 12 that this takes" in choose(both, BUDGETS).reasons["int8"]


def test_a_difference_inside_the_noise_is_no_gain() -> None:
    """Half a per cent is less than what rounds of the same artifact differ by."""
    assert names_of([candidate("float", 0.0200), candidate("int8", 0.0199)]) == ["float"]


def test_a_gain_here_that_the_target_would_not_see_does_not_ship() -> None:
    slow_there = {"latency_p95": estimate(0.030)}
    both = [
        candidate("float", 0.020, proxy=True),
        changed(candidate("int8", 0.010, proxy=True), predictions=slow_there),
    ]
    assert names_of(both) == ["float"]
    assert choose(both, BUDGETS).reasons["int8"].startswith("faster here, but predicted to be slow")
    # What was measured on the target itself needs no prediction.
    measured = [candidate("float", 0.020), changed(both[1], trial=trial("int8", 0.010, proxy=False))]  # fmt: skip  # noqa: E501
    assert names_of(measured) == ["int8", "float"]


def test_int8_ships_without_a_gain_where_only_it_is_small_enough() -> None:
    both = [candidate("float", 0.020, size_mib=90), candidate("int8", 0.024, size_mib=30)]
    assert names_of(both) == ["int8"]
    reasons = choose(both, BUDGETS).reasons
    assert reasons["float"] == "misses artifact_size"
    assert reasons["int8"] == "within the budgets, and float is not"


def test_int8_that_loses_too_much_stays_behind() -> None:
    both = [candidate("float", 0.020), candidate("int8", 0.010, lost=60)]
    assert names_of(both) == ["float"]
    assert choose(both, BUDGETS).reasons == {
        "int8": "misses accuracy_drop",
        "float": "nothing else is faster and within the budgets",
    }


def test_where_none_is_within_the_one_that_misses_fewest_is_judged() -> None:
    both = [
        candidate("float", 0.100, size_mib=90),
        candidate("int8", 0.090, size_mib=30),
    ]
    assert names_of(both) == ["int8"]
    assert choose(both, BUDGETS).reasons["float"] == "misses artifact_size, latency_p95"


@pytest.mark.parametrize(
    ("budget", "inside", "outside"),
    [
        ("latency_p50=15ms", "int8", "float"),
        ("memory_peak=150MiB", "int8", "float"),
    ],
)
def test_measured_figures_count_on_the_target(budget: str, inside: str, outside: str) -> None:
    """The float form takes 20 ms and 164 MiB, the int8 one 10 ms and 142 MiB."""
    metric, _, limit = budget.partition("=")
    budgets = (parse_budget(metric, limit),)
    both = [candidate(outside, 0.020), candidate(inside, 0.010)]
    chosen = choose(both, budgets)
    assert chosen.finalists == (both[1],)
    assert chosen.reasons[outside] == f"misses {metric}"


def test_predictions_count_where_the_target_is_not_at_hand() -> None:
    budgets = (parse_budget("memory_peak", "120 MiB"), parse_budget("energy", "1 J"))
    hungry = {"memory_peak": estimate(100 * 2**20), "energy": estimate(0.5)}
    modest = {"memory_peak": estimate(80 * 2**20), "energy": estimate(0.5)}
    both = [
        changed(candidate("float", 0.020, proxy=True), predictions=hungry),
        changed(candidate("int8", 0.030, proxy=True), predictions=modest),
    ]
    chosen = choose(both, budgets)
    assert chosen.reasons["float"] == "misses memory_peak"
    assert chosen.finalists == (both[1],)


def test_a_failure_is_named_and_the_other_goes_on() -> None:
    both = [candidate("float", 0.020), changed(candidate("int8", 0.010), failure="no kernel")]
    assert names_of(both) == ["float"]
    assert choose(both, BUDGETS).reasons["int8"] == "failed: no kernel"


def test_where_all_failed_there_is_none() -> None:
    both = [
        changed(candidate(name, 0.02), failure=f"{name} broke", made=None, trial=None)
        for name in ("float", "int8")
    ]
    chosen = choose(both, BUDGETS)
    assert chosen.finalists == ()
    assert chosen.reasons == {"float": "failed: float broke", "int8": "failed: int8 broke"}


def test_without_the_float_form_the_fastest_of_the_others_is_first() -> None:
    rest = [candidate("int8", 0.020), candidate("int8-static", 0.010)]
    assert names_of(rest) == ["int8-static", "int8"]


def test_of_those_that_gain_the_greatest_gain_is_first() -> None:
    three = [
        candidate("float", 0.020),
        candidate("int8", 0.015),
        candidate("int8-static", 0.010),
    ]
    assert names_of(three) == ["int8-static", "int8", "float"]


def test_a_small_search_split_turns_no_one_away_that_may_pass() -> None:
    """15 of 1 200 is 1.25 points, and the bound below it is under the budget of one."""
    both = [candidate("float", 0.020), candidate("int8", 0.010, lost=15)]
    assert names_of(both) == ["int8", "float"]


def test_without_rounds_that_count_no_gain_is_shown() -> None:
    """A machine too noisy to time on: what was not measured is no reason to ship int8."""

    def void(one: Trial | None) -> Trial:
        assert one is not None
        rounds = tuple(msgspec.structs.replace(r, void="steal") for r in one.rounds)
        return msgspec.structs.replace(one, rounds=rounds)

    both = [candidate("float", 0.020), candidate("int8", 0.010)]
    assert names_of([changed(c, trial=void(c.trial)) for c in both]) == ["float"]
    assert names_of([changed(c, trial=None) for c in both]) == ["float"]


TALKING = (
    parse_budget("nll_increase", "2 %"),
    parse_budget("agreement", "90 %"),
    parse_budget("decode_tps_min", "40"),
    parse_budget("ttft_p95", "120 ms"),
    parse_budget("memory_peak", "500 MiB"),
)


def decoder(name: str, token_s: float, increase: float = 0.006, **more: object) -> Candidate:
    """A language model's form, measured on the target."""
    first_s, disagree = (more.pop(key, usual) for key, usual in (("first", 0.08), ("apart", 0.03)))
    assert isinstance(first_s, float)
    assert isinstance(disagree, float)
    scores = scored_trial(increase, documents=24, disagree=disagree, split=Split.SEARCH)
    made = changed(candidate(name, 0.01), accuracy=None, scores=scores)
    return changed(made, trial=answered_trial(first_s, token_s, rounds=14), **more)


def test_a_language_model_has_no_accuracy_and_is_chosen_by_its_answers() -> None:
    assert names_of([decoder("float", 0.024), decoder("int8", 0.020)], TALKING) == ["int8", "float"]


@pytest.mark.parametrize(
    ("worse", "missed"),
    [
        (decoder("int8", 0.020, 0.08), "nll_increase"),
        (decoder("int8", 0.020, apart=0.5), "agreement"),
        (decoder("int8", 0.030), "decode_tps_min"),
        (decoder("int8", 0.020, first=0.15), "ttft_p95"),
        (decoder("int8", 0.020, scores=None), "nll_increase, agreement, memory_peak"),
        (
            decoder("int8", 0.02, scores=scored_trial(full_context_rss_bytes=600 << 20)),
            "memory_peak",
        ),
    ],
)
def test_what_misses_for_certain_stays_behind(worse: Candidate, missed: str) -> None:
    both = [decoder("float", 0.024), worse]
    assert names_of(both, TALKING) == ["float"]
    assert choose(both, TALKING).reasons["int8"] == f"misses {missed}"


@pytest.mark.parametrize(
    "worse", [decoder("int8", 0.020, 0.022), decoder("int8", 0.02, apart=0.12)]
)
def test_what_may_pass_is_for_the_gate_to_say(worse: Candidate) -> None:
    assert names_of([decoder("float", 0.024), worse], TALKING) == ["int8", "float"]


def test_likelihoods_that_are_no_numbers_are_a_failure() -> None:
    broken = decoder("int8", 0.02, scores=scored_trial(non_finite=2))
    reasons = choose([decoder("float", 0.024), broken], TALKING).reasons
    assert "2 documents" in reasons["int8"]


def engine(name: str, latency_s: float, size_mib: float) -> Candidate:
    """Built for a card, and neither run nor timed."""
    one = candidate(name, 0.02, size_mib=size_mib)
    assert one.made is not None
    artifact = msgspec.structs.replace(one.made.artifact, format=Format.ENGINE)
    return changed(
        one,
        made=msgspec.structs.replace(one.made, artifact=artifact),
        trial=None,
        predictions={"latency_p95": estimate(latency_s), "memory_peak": estimate(2.0**20)},
    )


def test_engines_are_chosen_by_what_is_predicted_of_the_target() -> None:
    three = [
        engine("float", 0.010, 40),
        engine("fp16", 0.006, 20),
        engine("int8", 0.004, 10),
    ]
    assert names_of(three) == ["int8", "fp16", "float"]
    assert choose(three, BUDGETS).reasons["fp16"].startswith("predicted to be 1.67 x as fast")


def test_an_engine_that_is_predicted_to_be_slower_does_not_ship() -> None:
    both = [engine("float", 0.010, 40), engine("int8", 0.011, 10)]
    assert names_of(both) == ["float"]
    assert "predicted to be slower" in choose(both, BUDGETS).reasons["int8"]


@pytest.mark.parametrize(("size_mib", "names"), [(20, ["fp16", "float"]), (40, ["float"])])
def test_of_engines_that_are_as_fast_the_smaller_ships(size_mib: float, names: list[str]) -> None:
    assert names_of([engine("float", 0.010, 40), engine("fp16", 0.0102, size_mib)]) == names


def test_one_that_is_only_smaller_does_not_stand_before_one_that_is_faster() -> None:
    three = [engine("float", 0.010, 40), engine("fp16", 0.009, 20), engine("int8", 0.0102, 10)]
    assert names_of(three) == ["fp16", "float"]
    assert choose(three, BUDGETS).reasons["int8"].endswith("and another is faster")


def lossy(one: Candidate, lost: int) -> Candidate:
    """One that got so many of 1,200 wrong which the reference had right."""
    return changed(one, accuracy=accuracy(lost, 0))


def test_of_forms_as_fast_the_one_that_is_asked_first_is_the_one_that_lost_least() -> None:
    """One that loses too much ends the gate's sequence: it may not stand before a safe one."""
    three = [
        lossy(engine("float", 0.0100, 40), 0),
        lossy(engine("fp16", 0.0100, 20), 0),
        lossy(engine("int8, 1 layer float", 0.0101, 15), 8),
    ]
    assert names_of(three) == ["int8, 1 layer float", "fp16", "float"]
    larger = [*three[:2], lossy(engine("int8, 1 layer float", 0.0101, 25), 8)]
    assert names_of(larger) == ["fp16", "float"]
    words = choose(larger, BUDGETS).reasons["int8, 1 layer float"]
    assert words == "as fast as fp16, which lost less"


def test_of_engines_that_are_faster_and_level_the_same_holds() -> None:
    three = [
        lossy(engine("float", 0.0100, 40), 0),
        lossy(engine("fp16", 0.0060, 20), 0),
        lossy(engine("int8, mixed", 0.0061, 25), 8),
    ]
    assert names_of(three) == ["fp16", "float"]
    faster = [*three, lossy(engine("int8", 0.0040, 10), 12)]
    assert names_of(faster) == ["int8", "fp16", "float"]


def test_of_measured_forms_that_are_level_a_slower_one_that_lost_more_is_not_asked() -> None:
    int8 = lossy(candidate("int8", 0.010), 2)
    level = changed(lossy(candidate("int8, other", 0.010), 9), trial=int8.trial)
    slow = lossy(candidate("slow", 0.015), 9)
    forms = [lossy(candidate("float", 0.020), 0), int8, level, slow]
    # One that is slower and lost more would only keep the better one from being asked.
    assert names_of(forms) == ["int8", "float"]
    reasons = choose(forms, BUDGETS).reasons
    assert reasons["int8, other"] == "as fast as int8, which lost less"
    assert reasons["slow"] == "no faster than int8, which is surer to pass"
    better = changed(level, accuracy=accuracy(1, 0))
    safe = lossy(slow, 1)
    assert names_of([*forms[:2], better, safe]) == ["int8", "int8, other", "slow", "float"]


def test_what_was_gained_makes_no_form_surer() -> None:
    """By net loss int8 looks the safest; it changed eight answers where float16 changed none."""
    three = [
        lossy(engine("float", 0.0100, 40), 0),
        lossy(engine("fp16", 0.0080, 20), 0),
        changed(engine("int8", 0.0090, 30), accuracy=accuracy(2, 6)),
    ]
    assert names_of(three) == ["fp16", "float"]
    faster = [*three[:2], changed(engine("int8", 0.0060, 30), accuracy=accuracy(2, 6))]
    assert names_of(faster) == ["int8", "fp16", "float"]


def test_engines_without_the_float_one_stand_in_the_order_of_their_predictions() -> None:
    small = (parse_budget("artifact_size", "30 MiB"),)
    three = [engine("float", 0.010, 40), engine("fp16", 0.006, 20), engine("int8", 0.004, 10)]
    assert names_of(three, small) == ["int8", "fp16"]


def for_card(
    name: str, answer_s: float | None, size_mib: float = 64, increase: float = 0.001
) -> Candidate:
    card = CardSummary(
        compute_capability="8.6",
        version="0.18.0",
        answer_s=answer_s,
        answer_tokens=32,
        prompt_tokens=64,
    )
    bare = candidate(name, 0.01, size_mib=size_mib)
    return changed(bare, accuracy=None, trial=None, scores=scored_trial(increase), card=card)


NLL = (parse_budget("nll_increase", "2 %"),)


def test_forms_for_a_card_are_taken_by_their_predicted_answers() -> None:
    forms = [
        for_card("float16", 0.40),
        for_card("int8 weights", 0.30),
        for_card("int4", 0.20, increase=0.2),
        for_card("int4, calibrated", 0.21),
    ]
    assert names_of(forms, NLL) == ["int4, calibrated", "int8 weights", "float16"]
    reasons = choose(forms, NLL).reasons
    assert reasons["int4"] == "misses nll_increase"
    assert reasons["int8 weights"] == "answers predicted 1.33 x as fast as float16's; nothing ran"


def test_on_a_card_as_fast_and_smaller_will_do_where_nothing_is_faster() -> None:
    forms = [
        for_card("float16", 0.400, 300),
        for_card("int8 weights", 0.404, 200),
        for_card("int4", 0.430, 100),
    ]
    assert names_of(forms, NLL) == ["int8 weights", "float16"]
    assert "slower than float16's" in choose(forms, NLL).reasons["int4"]
    unknown = [for_card("float16", None), for_card("int4", None)]
    assert names_of(unknown, NLL) == ["float16"]


def test_without_float16_the_fastest_answers_go_first() -> None:
    forms = [for_card("int8 weights", 0.4), for_card("int4", 0.2), for_card("odd", None)]
    assert names_of(forms, NLL) == ["int4", "int8 weights", "odd"]
    assert set(choose(forms, NLL).reasons.values()) == {"within the budgets"}
