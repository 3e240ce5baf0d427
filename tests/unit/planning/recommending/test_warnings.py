"""What must not be overlooked, and nothing where all is well."""

from collections.abc import Callable

import msgspec

from deployopt.core.evidence import Estimate
from deployopt.core.recommendation import Recommendation
from deployopt.core.request import RecommendRequest
from deployopt.core.standing import Standing
from deployopt.core.tasks import parse_task
from deployopt.planning.recommending.candidate import Candidate
from deployopt.planning.recommending.recommend import recommend
from deployopt.planning.recommending.wants import Wants
from deployopt.planning.recommending.warnings import warnings_for
from deployopt.planning.targets import load_target


def ask(task: str, target: str, **asked: object) -> Recommendation:
    request = RecommendRequest(task=parse_task(task), target=load_target(target))
    return recommend(msgspec.structs.replace(request, **asked))


def test_perhaps_late_names_the_figures_and_one_that_is_probably_in_time() -> None:
    (warning,) = ask("sentiment", "rpi4", examples=8_000).warnings
    assert "is not settled" in warning
    assert "250 ms of the target's profile" in warning
    assert "--length" in warning


def test_a_licence_that_binds_is_pointed_out() -> None:
    found = ask("detection", "rtx3060", examples=20_000)
    assert found.choice is not None
    bound = found.choice.licence.startswith("agpl")
    assert any("--commercial leaves such models out" in w for w in found.warnings) is bound


def test_nothing_to_warn_of() -> None:
    assert ask("text-generation", "rtx3060", realtime=True).warnings == ()


def test_few_examples_and_what_may_not_fit(
    wants: Callable[..., Wants], candidate: Callable[..., Candidate]
) -> None:
    found = ask("embeddings", "x86-cpu").choice
    assert found is not None
    choice = msgspec.structs.replace(found, alias="one", standing=Standing.UNSETTLED)
    asked = wants(target="rtx3060", examples=10)
    said = tuple(warnings_for([candidate("one")], choice, asked, late=False))
    assert said == (
        "Whether one fits rtx3060 is not settled: measure it there.",
        "10 examples are few for every model that will do; one asks for 500 or more.",
    )


def test_one_that_is_probably_in_time_is_named_where_the_choice_probably_is_not(
    wants: Callable[..., Wants],
    candidate: Callable[..., Candidate],
    band: Callable[..., Estimate],
) -> None:
    found = ask("sentiment", "rpi4").choice
    assert found is not None
    quick, slow = candidate("quick", 80, 0.1), candidate("slow", 90, 0.4)
    asked = wants(examples=8_000)
    for seconds, named in ((0.3, True), (0.2, False)):
        choice = msgspec.structs.replace(
            found,
            alias="slow",
            within_latency=Standing.UNSETTLED,
            predicted={"latency_p95": band(seconds)},
        )
        (said,) = warnings_for([slow, quick], choice, asked, late=False)
        assert ("quick (100 ms) probably is" in said) is named


def test_an_image_that_takes_minutes_is_said_to() -> None:
    (said,) = ask("text-to-image", "rpi4").warnings
    assert said.startswith("One image takes ")
    assert "nobody waits for that" in said
    assert ask("text-to-image", "a100").warnings == ()
