"""Advice at 80 columns: the choice, its reasons, what it takes to train, what it costs."""

import io

import msgspec
import pytest
from rich.cells import cell_len
from rich.console import Console

from deployopt.core.result import RecommendResult
from deployopt.reports.recommendation import print_recommendation
from tests.fakes import advice
from tests.fakes.payloads import payloads


def shown(result: RecommendResult) -> str:
    console = Console(file=io.StringIO(), width=80, highlight=False, markup=False, emoji=False)
    print_recommendation(result, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("result", [advice.recommend_result(), advice.nothing_result()])
def test_only_commands_are_wider_than_eighty(result: RecommendResult) -> None:
    text = shown(result)
    wide = [x for x in text.splitlines() if cell_len(x.rstrip()) > 80]
    assert [x for x in wide if not x.startswith(("accelerate", "deployopt"))] == []
    assert "…" not in text


def test_the_answer_why_and_how() -> None:
    text = " ".join(shown(advice.recommend_result()).split())
    for part in (
        "distilbert (DistilBERT base, SST-2), int8, ONNX Runtime; int8 dynamic",
        "8 000 labelled examples for fine-tuning",
        "somebody waits",
        "0.17 to 0.23 GiB of 3.5 GiB usable",
        "120 ms",
        "1.4 x slower, +0.3 pt on SST-2",
        "full bf16",
        "rtx3060: 3.40 to 4.60 GiB of 11.0 GiB usable, fits",
        "16 a device x 1 device x 2 steps = 32",
        "3 epochs at 2e-05, warm-up over 10%, early stopping",
        "6 min to 18 min",
        "deployopt build --target rpi4 --model distilbert",
        "latency is 2.1 s at the lower end",
    ):
        assert part in text


def test_money_with_its_day() -> None:
    text = " ".join(shown(advice.recommend_result()).split())
    assert "Cost of a million requests, USD, prices of 2026-10" in text
    assert "own rpi4 0.31 0.26 to 0.36 720 K" in text
    assert "12 000" in text
    assert "From 1,834 requests a day own rpi4 costs less" in text
    assert "Energy: 770 mJ a request." in text


def test_nothing_will_do_and_why() -> None:
    text = " ".join(shown(advice.nothing_result()).split())
    assert "nothing in the catalogue will do" in text
    assert "model-0 it needs 4 to 6 GiB" in text
    assert "and 3 more; --json names them all" in text
    assert "exit 1" in text


@pytest.mark.parametrize("payload", payloads())
def test_hostile_text_is_text(payload: str) -> None:
    result = advice.recommend_result()
    record = msgspec.structs.replace(result.recommendation, warnings=(payload,))
    text = shown(RecommendResult(recommendation=record, exit_code=0))
    assert "\x1b" not in text
    assert "\x00" not in text
