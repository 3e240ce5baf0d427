"""Language models for a card in reports: what is predicted of each, and that none has run."""

import io

import msgspec
from rich.console import Console

from deployopt.core.card import CardSummary
from deployopt.core.evidence import Estimate
from deployopt.reports.cards import CARDS_TITLE, card_lines, cards_markdown
from deployopt.reports.html import build_page
from deployopt.reports.markdown import build_markdown
from deployopt.reports.terminal import print_build
from tests.fakes.results import build_result

CARD = CardSummary(
    compute_capability="8.6",
    version="0.18.0",
    answer_s=0.114,
    answer_tokens=32,
    prompt_tokens=64,
    notes=("Weights were rounded to 4 bits by GPTQ; 52 products keep 8",),
)


def estimate(value: float) -> Estimate:
    return Estimate(value=value, lower=value / 2, upper=value * 2, basis="sums")


PREDICTED = {
    "ttft_p50": estimate(0.004),
    "decode_tps_min": estimate(282.0),
    "memory_peak": estimate(2.0**30),
}
WITHOUT = build_result()
RESULT = msgspec.structs.replace(
    WITHOUT,
    candidates=(
        msgspec.structs.replace(WITHOUT.candidates[0], card=CARD, predicted=PREDICTED),
        *WITHOUT.candidates[1:],
    ),
)


def test_answers_rates_and_memory_with_their_bands_and_notes() -> None:
    ((name, text),) = card_lines(RESULT.candidates)
    assert name == RESULT.candidates[0].recipe
    assert text == (
        "Predicted: 64 tokens answered with 32 in 110 ms; ttft p50 4.0 ms (2.0 ms to 8.0 ms); "
        "decode tps min 280 tok/s (140 tok/s to 560 tok/s); memory peak 1.0 GiB (510 MiB to 2.0 "
        "GiB). Weights were rounded to 4 bits by GPTQ; 52 products keep 8."
    )


def test_what_nothing_is_predicted_of() -> None:
    bare = msgspec.structs.replace(CARD, answer_s=None, notes=())
    one = msgspec.structs.replace(RESULT.candidates[0], card=bare, predicted={})
    assert [text for _, text in card_lines([one])] == ["Nothing is predicted of its speed."]


def test_every_rendering_says_that_nothing_ran() -> None:
    console = Console(file=io.StringIO(), width=80, highlight=False, markup=False, emoji=False)
    print_build(RESULT, console)
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert f"{CARDS_TITLE} (SM86)" in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert CARDS_TITLE in build_markdown(RESULT)
    assert CARDS_TITLE in build_page(RESULT, None, made_with="x").decode()


def test_where_there_is_no_card_nothing_is_added() -> None:
    assert cards_markdown(WITHOUT.candidates) == []
    assert CARDS_TITLE not in build_markdown(WITHOUT)
    assert CARDS_TITLE not in build_page(WITHOUT, None, made_with="x").decode()
