"""Graphs for a card in reports: what is predicted, that none has run, how a card behaved."""

import io

import msgspec
from rich.console import Console

from deployopt.core.card import CardSummary
from deployopt.core.evidence import Estimate
from deployopt.core.measurement import CardConditions, Trial
from deployopt.core.summaries import latency_summary
from deployopt.reports.cards import CARDS_TITLE, card_lines, cards_markdown, watched_words
from deployopt.reports.html import build_page
from deployopt.reports.markdown import build_markdown, verify_markdown
from deployopt.reports.terminal import print_build, print_verify
from tests.fakes.results import build_result, trial, verify_result

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


def test_of_a_classifier_there_are_no_answers_and_the_size_is_no_prediction() -> None:
    graph = CardSummary(compute_capability="9.0", version="1.32.0", notes=("2 nodes stay float32",))
    predicted = {
        "artifact_size": estimate(2.0**25),
        "latency_p95": estimate(0.0005),
        "memory_peak": estimate(2.0**30),
    }
    one = msgspec.structs.replace(RESULT.candidates[0], card=graph, predicted=predicted)
    ((_, text),) = card_lines([one])
    assert text == (
        "Predicted: latency p95 500 us (250 us to 1.0 ms); memory peak 1.0 GiB (510 MiB to 2.0 "
        "GiB). 2 nodes stay float32."
    )


SEEN = CardConditions(
    clock_mhz=1755.0,
    temperature_c=61.0,
    power_w=310.2,
    throttled=False,
    others=0,
    others_share=0.0,
    memory_bytes=2**30,
)


def on_card(*seen: CardConditions) -> Trial:
    """Rounds that were spent on a card, one for each of these."""
    made = trial("float", 0.002, rounds=len(seen))
    rounds = tuple(
        msgspec.structs.replace(
            one, conditions=msgspec.structs.replace(one.conditions, card=conditions)
        )
        for one, conditions in zip(made.rounds, seen, strict=True)
    )
    return msgspec.structs.replace(made, rounds=rounds)


def test_the_worst_of_all_rounds_is_told() -> None:
    hot = CardConditions(
        clock_mhz=1410.0,
        temperature_c=84.0,
        power_w=700.0,
        reasons=("heat", "power limit"),
        throttled=True,
        others=2,
        others_share=0.31,
        memory_bytes=2**31,
        memory_of="card",
        copied_share=0.12,
        captured_share=0.75,
    )
    whole = msgspec.structs.replace(SEEN, captured_share=1.0)
    latency = latency_summary(on_card(whole, hot, SEEN), 0.95)
    assert latency is not None
    assert latency.card == msgspec.structs.replace(hot)
    assert watched_words(latency) == (
        "clock down to 1,410 MHz, up to 84 °C, up to 700 W, held down by heat, power limit, "
        "2 other processes on it with 31% of its time at most, "
        "copies to it and back up to 12% of a request, "
        "launched as one CUDA graph for 75% of requests, memory by the whole card's rise"
    )


def test_how_the_work_was_launched_is_told_where_it_was_tried() -> None:
    whole = msgspec.structs.replace(SEEN, captured_share=1.0)
    words = watched_words(latency_summary(on_card(whole, whole), 0.95))
    assert words.endswith("310 W, launched as one CUDA graph")
    none = msgspec.structs.replace(SEEN, captured_share=0.0)
    assert "launched" not in watched_words(latency_summary(on_card(none), 0.95))
    refused = msgspec.structs.replace(none, uncaptured="it has control flow")
    words = watched_words(latency_summary(on_card(none, refused), 0.95))
    assert words.endswith("310 W, launched kernel by kernel (it has control flow)")


def test_a_quiet_card_and_one_that_tells_nothing() -> None:
    quiet = latency_summary(on_card(SEEN, SEEN), 0.95)
    assert watched_words(quiet) == "clock down to 1,755 MHz, up to 61 °C, up to 310 W"
    silent = latency_summary(on_card(CardConditions()), 0.95)
    assert watched_words(silent) == "NVML tells nothing of it"
    assert watched_words(latency_summary(trial("float", 0.002), 0.95)) == ""
    assert watched_words(None) == ""


def test_a_verification_says_how_the_card_behaved() -> None:
    plain = verify_result()
    watched = msgspec.structs.replace(plain, latency=latency_summary(on_card(SEEN, SEEN), 0.95))
    console = Console(file=io.StringIO(), width=80, highlight=False, markup=False, emoji=False)
    print_verify(watched, console)
    assert isinstance(console.file, io.StringIO)
    assert "Card       clock down to 1,755 MHz" in console.file.getvalue()
    assert "card: clock down to 1,755 MHz" in verify_markdown(watched)
    assert "card: " not in verify_markdown(plain)
    built = msgspec.structs.replace(
        WITHOUT,
        candidates=tuple(
            msgspec.structs.replace(one, latency=watched.latency) if one.chosen else one
            for one in WITHOUT.candidates
        ),
    )
    assert "Card: clock down to" in build_page(built, None, made_with="x").decode()
    assert "Card: clock down to" not in build_page(WITHOUT, None, made_with="x").decode()


def test_what_to_install_stands_before_the_command() -> None:
    told = msgspec.structs.replace(
        WITHOUT, install="pip install 'deployopt[gpu]'", settle="deployopt verify X"
    )
    console = Console(file=io.StringIO(), width=80, highlight=False, markup=False, emoji=False)
    print_build(told, console)
    assert isinstance(console.file, io.StringIO)
    page = build_page(told, None, made_with="x").decode().replace("&#39;", "'")
    for shown in (console.file.getvalue(), build_markdown(told), page):
        assert 0 < shown.index("pip install 'deployopt[gpu]'") < shown.index("deployopt verify X")
