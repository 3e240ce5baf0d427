"""Each reason stands on its number."""

from collections.abc import Callable

import msgspec
import pytest

from deployopt.core.artifact import Precision
from deployopt.core.budget import parse_budget
from deployopt.core.evidence import Estimate
from deployopt.core.standing import Standing
from deployopt.core.tasks import ModelTask
from deployopt.planning.recommending.candidate import Candidate, Footing
from deployopt.planning.recommending.reasons import reasons_for
from deployopt.planning.recommending.wants import Wants

Ask = Callable[..., Wants]
Build = Callable[..., Candidate]
Stand = Callable[..., Footing]


def said(candidate: Candidate, at: Footing, wants: Wants) -> dict[str, str]:
    return {reason.about: reason.text for reason in reasons_for(candidate, at, wants)}


def test_memory_time_quality_data_licence(wants: Ask, candidate: Build, stand: Stand) -> None:
    asked = wants(examples=8_000, budgets=(parse_budget("latency_p95", "50 ms"),))
    at = stand(0.04, within=Standing.UNSETTLED, gigabytes=0.4)
    found = said(candidate("one", 91.0), at, asked)
    assert found["memory"].startswith("fp32 needs 360 MiB to 470 MiB of 512 MiB usable")
    assert found["latency"] == (
        "40 ms (20 ms to 80 ms) a request of 46 tokens; 50.0 ms asked for (latency_p95): may or "
        "may not be inside; datasheet only"
    )
    assert found["quality"].startswith("91 % accuracy, SST-2 test (a paper); within 2 points")
    assert found["data"] == "8 000 examples; fine-tuning it makes sense from 500"
    assert found["licence"] == "apache-2.0: commercial use allowed"


def test_what_is_not_predicted_says_so(wants: Ask, candidate: Build, stand: Stand) -> None:
    found = said(candidate(), stand(None), wants(ModelTask.TOKEN_CLASSIFICATION))
    assert found["latency"] == "not predicted: the profile of rpi4 gives no peak of fp32"


def test_int8_is_kept_or_left_for_its_gain(wants: Ask, candidate: Build, stand: Stand) -> None:
    full, quick = stand(0.1), stand(0.05, Precision.INT8)
    model = msgspec.structs.replace(candidate(), footings=(full, quick))
    assert "predicted 2 x as fast as fp32" in said(model, quick, wants())["precision"]
    slow = stand(0.098, Precision.INT8)
    model = msgspec.structs.replace(candidate(), footings=(full, slow))
    assert "int8 is predicted 1 x as fast" in said(model, full, wants())["precision"]


def test_a_lower_precision_says_what_the_higher_lacks(
    wants: Ask, candidate: Build, stand: Stand
) -> None:
    quick = stand(0.05, Precision.INT8, within=Standing.INSIDE)
    for full, words in (
        (stand(0.1, standing=Standing.OUTSIDE), "does not fit"),
        (stand(0.1, standing=Standing.UNSETTLED), "may not fit"),
        (stand(0.1, within=Standing.OUTSIDE), "fp32 is not in time"),
        (stand(0.1, within=Standing.UNSETTLED), "fp32 may not be in time"),
    ):
        model = msgspec.structs.replace(candidate(), footings=(full, quick))
        assert words in said(model, quick, wants())["precision"]


def test_tokens_against_reading_speed(
    wants: Ask, candidate: Build, stand: Stand, band: Callable[..., Estimate]
) -> None:
    asked = wants(ModelTask.TEXT_GENERATION, "rtx3060", realtime=True)
    at = msgspec.structs.replace(
        stand(5.0, within=Standing.INSIDE),
        predicted={"latency_s": band(5.0), "ttft_s": band(0.5), "decode_tps": band(40.0)},
    )
    found = said(candidate(), at, asked)["tokens"]
    assert found == (
        "20 to 80 tokens/s; a person reads 5.5: inside; the first after 250 ms to 1.0 s "
        "(512 tokens of prompt)"
    )


@pytest.mark.parametrize(
    ("allowed", "words"),
    [(True, "allowed"), (False, "not for every commercial use"), (None, "ask before you use it")],
)
def test_licences(
    wants: Ask, candidate: Build, stand: Stand, *, allowed: bool | None, words: str
) -> None:
    assert words in said(candidate(commercial=allowed), stand(), wants())["licence"]


def test_a_desktop_says_which_tier_the_examples_are_for(
    wants: Ask, candidate: Build, stand: Stand
) -> None:
    asked = wants(target="x86-cpu", examples=20_000)
    assert said(candidate(), stand(), asked)["tier"] == (
        "by 20 000 examples on a desktop: light from 0, middle from 1 000, large from 100 000"
    )
    assert "tier" not in said(candidate(), stand(), wants(examples=20_000))
