"""Questions become token ids to choose by and to judge by, by content and seed."""

import json
from pathlib import Path
from typing import Any

import pytest

from deployopt.core.choices import ChoiceQuestion, decode_questions
from deployopt.core.errors import IntegrityError, UsageError
from deployopt.core.measurement import Split
from deployopt.core.source import Dataset, SourceModel
from deployopt.sources import choices as module
from deployopt.sources.choices import load_choices
from deployopt.sources.locking import lock_of
from deployopt.sources.models import resolve_model
from deployopt.sources.tokenizer_files import open_tokenizer
from deployopt.store.store import Store
from tests.fakes.chat import sentences, write_tiny_llama


@pytest.fixture
def model(tmp_path: Path, store: Store) -> SourceModel:
    return resolve_model(str(write_tiny_llama(tmp_path / "model")), store=store)


def lines(count: int) -> list[dict[str, Any]]:
    texts = sentences(count)
    return [
        {
            "question": f"{text[:60]} {number}",
            "choices": [f"{texts[number - k][:20]} é{k}" for k in range(3)],
            "answer": number % 3,
        }
        for number, text in enumerate(texts)
    ]


def written(tmp_path: Path, found: list[dict[str, Any]], name: str = "q.jsonl") -> str:
    path = tmp_path / name
    path.write_text("".join(f"{json.dumps(one)}\n" for one in found), "utf-8")
    return str(path)


def read(dataset: Dataset, split: Split) -> tuple[ChoiceQuestion, ...]:
    return decode_questions(dataset.splits[split].path)


def test_question_and_choice_are_read_together(
    tmp_path: Path, model: SourceModel, store: Store
) -> None:
    asked = lines(60)
    found = load_choices(written(tmp_path, asked), model=model, store=store)
    assert (found.splits[Split.SEARCH].examples, found.splits[Split.GATE].examples) == (12, 48)
    assert found.labelled
    assert "48 questions of 3 choices judge" in found.notes[0]
    assert "guessing is right in 33.3 %" in found.notes[0]
    tokenizer = open_tokenizer(model.artifact.folder / "tokenizer.json")
    by_text = {}
    for one in asked:
        prompt = tokenizer.encode(f"Question: {one['question']}\nAnswer:").ids
        whole = [
            tokenizer.encode(f"Question: {one['question']}\nAnswer: {c}").ids
            for c in one["choices"]
        ]
        by_text[tuple(prompt)] = (one, [tuple(ids[len(prompt) :]) for ids in whole])
    both = (*read(found, Split.SEARCH), *read(found, Split.GATE))
    assert len({one.prompt for one in both}) == 60
    for question in both:
        line, choices = by_text[question.prompt]
        assert question.choices == tuple(choices)
        assert question.answer == line["answer"]
        assert question.sizes == tuple(len(choice.encode()) for choice in line["choices"])


def test_the_order_of_the_file_does_not_matter_and_the_seed_does(
    tmp_path: Path, model: SourceModel, store: Store
) -> None:
    asked = lines(60)
    first, turned, other = (
        load_choices(written(tmp_path, some), model=model, store=store, seed=seed)
        for some, seed in ((asked, 0), (asked[::-1], 0), (asked, 1))
    )
    assert turned.splits[Split.GATE].digest == first.splits[Split.GATE].digest
    assert other.splits[Split.GATE].digest != first.splits[Split.GATE].digest


def test_repeated_questions_are_left_out_and_said(
    tmp_path: Path, model: SourceModel, store: Store
) -> None:
    asked = lines(60)
    again = {"question": asked[0]["question"], "choices": asked[0]["choices"][::-1], "answer": 2}
    found = load_choices(written(tmp_path, [*asked, again, asked[1]]), model=model, store=store)
    assert sum(file.examples for file in found.splits.values()) == 60
    assert "left out: 2 that are there more than once" in found.notes[1]


def test_a_question_with_two_answers_is_refused(
    tmp_path: Path, model: SourceModel, store: Store
) -> None:
    asked = lines(60)
    path = written(tmp_path, [*asked, asked[4] | {"answer": (asked[4]["answer"] + 1) % 3}])
    with pytest.raises(UsageError, match=r"line 61: the question of line 5 once more"):
        load_choices(path, model=model, store=store)


def test_what_cannot_be_judged_by_is_refused(
    tmp_path: Path, model: SourceModel, store: Store
) -> None:
    with pytest.raises(UsageError, match=r"holds 39 questions that differ\. At least 40"):
        load_choices(written(tmp_path, lines(39)), model=model, store=store)
    with pytest.raises(UsageError, match="no file of questions"):
        load_choices(str(tmp_path / "none.jsonl"), model=model, store=store)
    long = lines(60)
    long[7]["choices"][1] = "so " * 600
    with pytest.raises(UsageError, match=r"line 8: with choice 1 it has [\d,]+ tokens"):
        load_choices(written(tmp_path, long), model=model, store=store)
    long[7]["question"] = "x" * 10**6
    with pytest.raises(UsageError, match=r"line 8: it is far longer than the model takes"):
        load_choices(written(tmp_path, long), model=model, store=store)


def test_so_many_questions_and_no_more_are_judged_by(
    tmp_path: Path, model: SourceModel, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SEARCH_QUESTIONS", 5)
    monkeypatch.setattr(module, "GATE_QUESTIONS", 20)
    found = load_choices(written(tmp_path, lines(60)), model=model, store=store)
    assert {str(split): file.examples for split, file in found.splits.items()} == {
        "search": 5,
        "gate": 20,
    }


def test_a_file_that_is_not_the_locked_one_is_refused(
    tmp_path: Path, model: SourceModel, store: Store
) -> None:
    path = written(tmp_path, lines(60))
    lock = lock_of([load_choices(path, model=model, store=store).origin])
    load_choices(path, model=model, store=store, lock=lock)
    written(tmp_path, lines(59))
    with pytest.raises(IntegrityError, match="not what was locked"):
        load_choices(path, model=model, store=store, lock=lock)


def test_a_classifier_has_no_questions(text_model: SourceModel, store: Store) -> None:
    with pytest.raises(UsageError, match="no language model"):
        load_choices("q.jsonl", model=text_model, store=store)
