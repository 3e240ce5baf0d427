"""The order: fits, in time, enough data, light on a board, then quality against speed."""

from collections.abc import Callable

import msgspec

from deployopt.core.standing import Standing
from deployopt.planning.recommending.candidate import Candidate
from deployopt.planning.recommending.ranking import (
    Rules,
    by_quality,
    ranked,
    too_few,
    wanted_tier,
)
from deployopt.planning.recommending.setting import Setting

Build = Callable[..., Candidate]
RULES = Rules(examples=None, strict=None, setting=Setting.SERVER, builds=False)


def names(order: tuple[Candidate, ...]) -> list[str]:
    return [one.entry.alias for one in order]


def change(**fields: object) -> Rules:
    return msgspec.structs.replace(RULES, **fields)


def test_what_surely_fits_comes_before_what_may(candidate: Build) -> None:
    good = candidate("good", 99, standing=Standing.UNSETTLED)
    assert names(ranked([good, candidate("sure", 80)], RULES)) == ["sure", "good"]


def test_refused_ones_are_left_out(candidate: Build) -> None:
    assert names(ranked([candidate("a", refusal="too large"), candidate("b")], RULES)) == ["b"]


def test_inside_an_asked_limit_comes_before_unsettled_and_unknown_is_not_inside(
    candidate: Build,
) -> None:
    models = [
        candidate("unknown", 99, None),
        candidate("maybe", 95, within=Standing.UNSETTLED),
        candidate("inside", 80, within=Standing.INSIDE),
    ]
    assert names(ranked(models, change(strict=True)))[0] == "inside"
    assert names(ranked(models, change(strict=False)))[-1] == "inside"


def test_the_profile_s_own_limit_only_holds_back_what_is_surely_late(candidate: Build) -> None:
    models = [
        candidate("late", 99, within=Standing.OUTSIDE),
        candidate("maybe", 95, within=Standing.UNSETTLED),
        candidate("inside", 80, within=Standing.INSIDE),
    ]
    assert names(ranked(models, change(strict=False))) == ["maybe", "inside", "late"]


def test_a_large_model_with_too_few_examples_comes_later(candidate: Build) -> None:
    models = [candidate("large", 99, least_examples=10_000), candidate("small", 90)]
    assert names(ranked(models, change(examples=800))) == ["small", "large"]
    assert names(ranked(models, change(examples=20_000))) == ["large", "small"]


def test_what_no_hub_has_cannot_be_fine_tuned(candidate: Build) -> None:
    here = candidate("here", repository=None)
    assert too_few(here, 10**6)
    assert not too_few(here, None)


def test_a_board_prefers_light_models(candidate: Build) -> None:
    models = [candidate("middle", 99, tier="middle"), candidate("light", 90)]
    assert names(ranked(models, change(setting=Setting.EMBEDDED)))[0] == "light"
    assert names(ranked(models, RULES))[0] == "middle"


def test_within_the_margin_the_faster_sibling_wins(candidate: Build) -> None:
    teacher, student = candidate("bert", 93.5, 0.2), candidate("distilbert", 91.5, 0.1)
    assert names(by_quality([teacher, student], 2.0)) == ["distilbert", "bert"]
    assert names(by_quality([teacher, student], 1.5)) == ["bert", "distilbert"]


def test_of_equals_a_clear_licence_and_what_build_takes_come_first(candidate: Build) -> None:
    unclear = candidate("unclear", 92, 0.01, commercial=None, buildable=True)
    bare = candidate("bare", 92, 0.02)
    ready = candidate("ready", 92, 0.03, buildable=True)
    assert names(by_quality([unclear, bare, ready], 2.0, builds=True)) == [
        "ready", "bare", "unclear",
    ]  # fmt: skip
    assert names(by_quality([unclear, bare, ready], 2.0))[0] == "bare"


def test_without_a_figure_comes_last(candidate: Build) -> None:
    models = [candidate("unknown", None, 0.01), candidate("known", 50, 9.0)]
    assert names(by_quality(models, 2.0)) == ["known", "unknown"]


def test_a_desktop_fine_tunes_the_tier_that_the_examples_are_for(candidate: Build) -> None:
    models = [candidate("large", 99, tier="large"), candidate("middle", 90, tier="middle")]
    desktop = change(setting=Setting.DESKTOP)
    assert names(ranked(models, desktop))[0] == "large"
    for examples, first in ((20_000, "middle"), (200_000, "large")):
        rules = msgspec.structs.replace(desktop, examples=examples)
        assert names(ranked(models, rules))[0] == first
        assert wanted_tier(msgspec.structs.replace(rules, adapted=True)) == "large"
    assert wanted_tier(msgspec.structs.replace(desktop, examples=600)) == "light"


def test_a_point_of_word_errors_counts_for_three(candidate: Build) -> None:
    models = [candidate("slow", -3.0, 2.0), candidate("fast", -4.0, 1.0)]
    assert names(by_quality(models, 2.0)) == ["fast", "slow"]
    quality = models[0].quality
    assert quality is not None
    heard = [
        msgspec.structs.replace(
            c, quality=msgspec.structs.replace(quality, metric="WER", value=-(c.points or 0))
        )
        for c in models
    ]
    assert names(by_quality(heard, 2.0)) == ["slow", "fast"]
