"""The next line to type is one that works, or a sentence says why there is none."""

from collections.abc import Callable

import pytest

from deployopt.core.budget import parse_budget
from deployopt.core.tasks import ModelTask
from deployopt.core.units import Dimension, parse_quantity
from deployopt.planning.recommending.building import building, written_budget
from deployopt.planning.recommending.candidate import Candidate
from deployopt.planning.recommending.wants import Wants

Ask = Callable[..., Wants]
Build = Callable[..., Candidate]


def test_as_it_comes(wants: Ask, candidate: Build) -> None:
    model = candidate("distilbert", buildable=True, data="sst2")
    lines, note = building(model, wants(), None)
    assert lines == ("deployopt build --target rpi4 --model distilbert",)
    assert note == ""


def test_asked_budgets_are_passed_on(wants: Ask, candidate: Build) -> None:
    asked = wants(budgets=(parse_budget("latency_p95", "50 ms"),))
    (line,), _ = building(candidate("one", buildable=True), asked, None)
    assert line.endswith("--data validation.csv --budget latency_p95=50ms")


def test_a_language_model_is_built_without_budgets_of_classifiers(
    wants: Ask, candidate: Build
) -> None:
    budgets = (parse_budget("latency_p95", "5 s"), parse_budget("memory_peak", "1 GiB"))
    asked = wants(ModelTask.TEXT_GENERATION, budgets=budgets)
    lines, note = building(candidate("one", buildable=True), asked, None)
    assert lines == (
        "deployopt build --target rpi4 --model one --data texts.txt --budget memory_peak=1GiB",
    )
    assert note == ""
    assert building(candidate("one"), asked, None)[0] == ()


def test_build_takes_every_card_and_neither_other_tasks_nor_bare_models(
    wants: Ask, candidate: Build
) -> None:
    model = candidate("one")
    assert building(model, wants(), None) == ((), "`deployopt build` does not take one as it comes")
    for card in ("rtx3060", "h100", "jetson-orin-nano"):
        assert building(model, wants(target=card), None) == building(model, wants(), None)
    lines, note = building(model, wants(ModelTask.TOKEN_CLASSIFICATION, target="h100"), None)
    assert lines == ()
    assert "makes no token-classification models for a card" in note
    assert building(model, wants(ModelTask.TOKEN_CLASSIFICATION), None)[0] == ()


def test_a_language_model_for_any_card_of_cuda(wants: Ask, candidate: Build) -> None:
    asked = wants(ModelTask.TEXT_GENERATION, target="h100")
    lines, note = building(candidate("one", buildable=True), asked, None)
    assert (lines, note) == (
        ("deployopt build --target h100 --model one --data texts.txt",),
        "",
    )


@pytest.mark.parametrize(
    ("limit", "dimension"),
    [(0.05, Dimension.TIME), (2.0, Dimension.TIME), (256 * 2**20, Dimension.SIZE),
     (0.01, Dimension.SHARE), (1e-7, Dimension.TIME), (1.5, Dimension.ENERGY)],
)  # fmt: skip
def test_a_budget_reads_back(limit: float, dimension: Dimension) -> None:
    assert parse_quantity(written_budget(limit, dimension), dimension) == pytest.approx(limit)
