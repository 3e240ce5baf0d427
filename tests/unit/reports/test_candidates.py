"""Twelve candidates fill twelve rows, and only a shared evidence is said once."""

import io

from rich.console import Console

from benchmarks.load_parts import large_build
from deployopt.reports.candidates import print_candidates, print_checks
from tests.fakes import results


def console() -> Console:
    return Console(file=io.StringIO(), width=80, highlight=False, markup=False)


def text_of(made: Console) -> str:
    assert isinstance(made.file, io.StringIO)
    return made.file.getvalue()


def test_each_candidate_has_a_row() -> None:
    made = console()
    print_candidates(made, results.many().candidates)
    text = text_of(made)
    for item in results.many().candidates:
        assert f" {item.recipe} " in text
    assert text.count("●") == 1


def test_of_hundreds_the_foremost_have_rows_and_the_others_are_counted() -> None:
    made = console()
    print_candidates(made, large_build(300).candidates)
    text = text_of(made)
    assert "and 276 more, slower or beaten, in the page" in text
    assert text.count("●") == 1
    assert len(text.splitlines()) < 150
    assert max(map(len, text.splitlines())) <= 80


def test_a_candidate_that_only_failed() -> None:
    made = console()
    print_candidates(made, (results.failed(),))
    assert "failed" in text_of(made)


def test_accepted_checks_need_no_notes() -> None:
    made = console()
    print_checks(made, results.verdict("accepted"))
    assert "The whole bound" not in text_of(made)
    made = console()
    print_checks(made, results.verdict("rejected"))
    assert "The whole bound is outside the budget" in text_of(made)
