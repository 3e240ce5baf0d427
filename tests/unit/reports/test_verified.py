"""What a verification shows of a language model, whatever its budgets are."""

import io

from rich.console import Console

from deployopt.core.units import Dimension
from deployopt.reports.terminal import print_verify
from deployopt.reports.verified import verify_figures
from tests.fakes import results
from tests.fakes.language import language_verify


def test_answers_and_scores_stand_beside_memory_and_size() -> None:
    found = {
        name: (dimension, figure) for name, dimension, figure in verify_figures(language_verify())
    }
    assert list(found)[:6] == [
        *("NLL increase", "agreement", "first token p50", "first token p95", "decode", "prefill"),
    ]
    assert found["decode"][0] is Dimension.TOKEN_RATE
    assert {"whole answer p50", "whole answer p95", "memory peak", "artifact size"} <= set(found)
    assert "throughput" not in found
    assert "energy a token" not in found


def test_a_classifier_is_shown_as_it_was() -> None:
    names = [name for name, _, _ in verify_figures(results.verify_result())]
    assert names[:3] == ["accuracy lost", "latency p50", "latency p95"]
    assert "throughput" in names


def test_the_table_fits_a_terminal() -> None:
    file = io.StringIO()
    print_verify(language_verify(), Console(file=file, width=80, highlight=False, markup=False))
    text = file.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    assert "581 tok/s" in text
    assert "52.7 tok/s" in text
