"""What fits at 80 columns: every row with its band and its word, hostile names are text."""

import io
from collections.abc import Callable

import msgspec
import pytest
from rich.cells import cell_len
from rich.console import Console

from deployopt.core.result import FitResult
from deployopt.reports.fit import print_fit, training_words
from tests.fakes import advice
from tests.fakes.payloads import payloads

RESULTS: dict[str, Callable[[], FitResult]] = {
    "inference": advice.fit_result,
    "training": advice.training_result,
    "graph": advice.graph_result,
}


def shown(result: FitResult) -> str:
    console = Console(file=io.StringIO(), width=80, highlight=False, markup=False, emoji=False)
    print_fit(result, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def row(text: str, start: str) -> str:
    rows = [x for x in text.splitlines() if x[:1] in set("✓?✗") and x[2:].startswith(start)]
    assert len(rows) == 1
    return " ".join(rows[0].split())


@pytest.mark.parametrize("name", RESULTS)
def test_nothing_is_wider_than_eighty(name: str) -> None:
    text = shown(RESULTS[name]())
    assert [x for x in text.splitlines() if cell_len(x.rstrip()) > 80] == []
    assert "…" not in text


def test_a_row_a_precision_with_band_word_and_what_is_left() -> None:
    text = shown(advice.fit_result())
    assert row(text, "fp16  ") == "✗ fp16 14.6 GiB 12.4 to 16.8 GiB no — —"
    assert row(text, "int8  ") == "? int8 9.90 GiB 8.4 to 11.4 GiB may fit 1 2 900 42 tok/s"
    assert row(text, "int4  ").startswith("✓ int4 5.10 GiB 4.33 to 5.86 GiB fits 12 4 096")


def test_what_the_model_is_and_what_the_best_takes() -> None:
    text = " ".join(shown(advice.fit_result()).split())
    for part in (
        "llama-2-7b on NVIDIA GeForce RTX 3060",
        "11.0 GiB usable",
        "6.74 B parameters",
        "32 heads (8 for keys and values)",
        "made in float16",
        "What int4 takes weights 4.59 GiB · KV cache 522 MiB",
        "fp16 would fit target a100",
        "weights x 1.2 to 1.4",
        "the config names no dtype",
        "exit 0",
    ):
        assert part in text
    assert "dust" not in text


def test_training_says_the_method() -> None:
    text = shown(advice.training_result())
    assert row(text, "qlora bf16").startswith("✓ qlora bf16 7.20 GiB")
    assert row(text, "full bf16").endswith("no — —")
    assert training_words(advice.training_over_gpus()) == "full bf16, fsdp x 4"


def test_a_net_without_text_has_no_context() -> None:
    text = shown(advice.graph_result())
    assert "context" not in text.casefold()
    assert "37 ms" in text


def test_what_cannot_be_predicted_says_so() -> None:
    result = advice.graph_result()
    use = msgspec.structs.replace(result.fit.uses[0], predicted={})
    fit = msgspec.structs.replace(result.fit, uses=(use,))
    assert "not predicted" in " ".join(shown(FitResult(fit=fit, exit_code=0)).split())


@pytest.mark.parametrize("payload", payloads())
def test_a_hostile_name_is_text(payload: str) -> None:
    fit = msgspec.structs.replace(advice.fit_result().fit, model=payload, warnings=(payload,))
    text = shown(FitResult(fit=fit, exit_code=0))
    assert "\x1b" not in text
    assert "\x00" not in text
