"""What questions showed is said alike in the terminal, in Markdown and on the page."""

import io

import msgspec
from rich.console import Console

from deployopt.core.choice_accuracy import choice_accuracy
from deployopt.core.choices import QuestionScore
from deployopt.core.result import AccuracySummary, BuildResult, DataSummary
from deployopt.core.summaries import accuracy_summary
from deployopt.reports.html import build_page
from deployopt.reports.markdown import build_markdown
from deployopt.reports.questioning import questions_words
from deployopt.reports.terminal import print_build
from tests.fakes.language import language_build, scored_trial
from tests.fakes.results import lineage


def summary(lost: int, count: int = 400) -> AccuracySummary:
    """The reference has half of the questions right."""
    questions = tuple(
        QuestionScore(
            choices=4, answer=0, reference=at % 2, candidate=1 if at < 2 * lost else at % 2
        )
        for at in range(count)
    )
    trial = choice_accuracy(msgspec.structs.replace(scored_trial(), questions=questions))
    assert trial is not None
    return accuracy_summary(trial)


def asked() -> BuildResult:
    found = language_build()
    return msgspec.structs.replace(
        found,
        questions=DataSummary(
            name="q.jsonl", labelled=True, splits={"search": 100, "gate": 400}, notes=("A note.",)
        ),
        gate=summary(6),
        candidates=tuple(
            msgspec.structs.replace(item, accuracy=None if item.failure else summary(2, 100))
            for item in found.candidates
        ),
    )


def test_how_many_there_are_and_how_both_models_did() -> None:
    result = asked()
    assert result.chosen is not None
    assert list(questions_words(result)) == [
        "q.jsonl: 100 search, 400 gate questions",
        f"right at the gate: the reference 50.0 %, {result.chosen.recipe} 48.5 %",
        "A note.",
    ]
    assert list(questions_words(language_build())) == []


def test_the_terminal_shows_them_in_80_columns() -> None:
    file = io.StringIO()
    print_build(asked(), Console(file=file, width=80, highlight=False, markup=False))
    text = file.getvalue()
    assert "Questions  q.jsonl: 100 search, 400 gate questions" in text
    assert "right at the gate: the reference 50.0 %" in text
    assert "2.00 pt lost" in text
    assert max(map(len, text.splitlines())) <= 80


def test_markdown_has_a_column_only_where_there_are_some() -> None:
    with_them, without = build_markdown(asked()), build_markdown(language_build())
    assert "| agreement | accuracy lost |" in with_them
    assert "2.00 pt (" in with_them
    assert "- Questions: right at the gate" in with_them
    assert "accuracy lost" not in without
    assert "Questions" not in without


def test_the_page_shows_them() -> None:
    page = build_page(asked(), lineage(), made_with="test").decode()
    assert "<dt>Questions</dt><dd>q.jsonl: 100 search, 400 gate questions. right at" in page
    assert "2.00 pt lost" in page
    assert "100 questions" in page
    assert (
        "<dt>Questions</dt>"
        not in build_page(language_build(), lineage(), made_with="test").decode()
    )
