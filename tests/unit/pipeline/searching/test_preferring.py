"""Which form is gone on with: noise moves nothing, a proof does."""

import pytest

from deployopt.pipeline.recipes import Form
from deployopt.pipeline.searching.search import preferred
from deployopt.pipeline.searching.timing import Timed

FORMS = [Form(name=name, reason="") for name in ("float", "int8", "openvino", "openvino-int8")]


def timed(ratio: float, spread: float | None = 0.02) -> Timed:
    if spread is None:
        return Timed(ratio=ratio, median_s=ratio, tail_s=ratio, rounds=6)
    low, high = ratio * (1 - spread), ratio * (1 + spread)
    return Timed(ratio=ratio, lower=low, upper=high, median_s=ratio, tail_s=ratio, rounds=6)


@pytest.mark.parametrize(
    ("ratios", "spread", "chosen"),
    [
        ((1.0, 0.3, 0.9, 0.5), 0.02, "int8"),
        ((1.0, 0.3, 0.9, 0.29), 0.05, "int8"),  # not proved to be faster
        ((1.0, 0.3, 0.9, 0.2), 0.05, "openvino-int8"),
        ((1.0, 1.3, 0.9, 1.2), 0.02, "openvino"),  # int8 gains nothing here
        ((1.0, 1.3, 1.2, 1.2), 0.02, "float"),
        ((1.0, 0.4, 0.9, 0.3), None, "int8"),  # every round was void
        ((1.0, 0.4, 0.9, 0.2), None, "openvino-int8"),
        ((1.0, 0.9, 0.9, 0.9), None, "int8"),
    ],
)
def test_the_first_that_none_is_proved_to_beat(
    ratios: tuple[float, ...], spread: float | None, chosen: str
) -> None:
    found = {form.name: timed(r, spread) for form, r in zip(FORMS, ratios, strict=True)}
    assert preferred(found, FORMS) == chosen


def test_a_form_that_could_not_be_run_is_no_choice() -> None:
    assert preferred({"float": timed(1.0)}, FORMS) == "float"
