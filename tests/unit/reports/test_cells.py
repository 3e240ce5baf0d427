"""Rows of candidates: of a language model tokens and likelihoods, in 80 columns."""

import io

from rich.console import Console

from deployopt.core.result import CandidateResult
from deployopt.reports.candidates import print_candidates
from deployopt.reports.cells import cells, faster_words, first_token_head, generates, heads
from tests.fakes import results
from tests.fakes.language import language_build

LANGUAGE = language_build().candidates
CLASSIFIER = results.build_result().candidates


def shown(candidates: tuple[CandidateResult, ...]) -> str:
    file = io.StringIO()
    print_candidates(Console(file=file, width=80, highlight=False, markup=False), candidates)
    return file.getvalue()


def test_a_row_has_a_cell_for_each_column_and_fits() -> None:
    for candidates in (LANGUAGE, CLASSIFIER):
        language = generates(candidates)
        columns = heads(candidates)
        assert 2 + sum(width + 1 for _, width in columns) <= 81
        for item in candidates:
            assert len(cells(item, language=language)) == len(columns) - 1


def test_a_language_model_is_told_from_a_classifier() -> None:
    assert generates(LANGUAGE)
    assert not generates(CLASSIFIER)
    assert not generates(())


def test_the_rows_say_tokens_a_second_first_token_likelihood_and_agreement() -> None:
    text = shown(LANGUAGE)
    assert max(map(len, text.splitlines())) <= 80
    for part in ("NLL increase", "first token p95", "tokens/s", "% agree", "2.13 x float"):
        assert part in text
    assert "0.52 to 0.81 %" in text
    assert "quality, first token, tokens/s, memory: measured on target" in text
    assert "latency" not in text


def test_a_predicted_machine_is_not_called_the_target() -> None:
    assert "measured here (proxy)" in shown(language_build(proxy=True).candidates)


def test_what_is_not_known_is_a_dash() -> None:
    bare = CandidateResult(recipe="int4", reason="smaller")
    lines = [cell.lines for cell in cells(bare, language=True)]
    assert lines == [["—"]] * 5
    assert faster_words(bare) == ()
    assert first_token_head(None) == "first token"
