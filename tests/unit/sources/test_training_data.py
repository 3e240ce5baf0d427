"""Training data: three sets without a shared text, whatever the file repeats."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from deployopt.core.errors import UsageError
from deployopt.core.interface import Task, TextInputs
from deployopt.sources.training_base import TrainingBase
from deployopt.sources.training_data import TrainingData, read_training_data
from deployopt.sources.training_lots import HELD_OUT, TRAIN, VALIDATION
from deployopt.store.store import Store
from tests.fakes.models import LABELS, labelled_texts, write_csv

Rows = Sequence[tuple[str, object]]
ROWS: Rows = [(text, LABELS[at]) for text, at in labelled_texts(300)]
OTHERS: Rows = [(text, LABELS[at]) for text, at in labelled_texts(60, seed=9)]


@pytest.fixture
def base(tmp_path: Path) -> TrainingBase:
    return TrainingBase(
        name="base", resolved="folder base", folder=tmp_path, digest="0" * 64,
        task=Task.TEXT_CLASSIFICATION, inputs=TextInputs(max_length=48), labels=None,
    )  # fmt: skip


def read(base: TrainingBase, rows: Rows, judge: Rows | None = None) -> TrainingData:
    root = base.folder
    evaluation = None if judge is None else str(write_csv(root / "judge.csv", judge))
    with Store(root / "store") as store:
        return read_training_data(
            str(write_csv(root / "data.csv", rows)), evaluation, base=base, store=store
        )


def texts(found: TrainingData, split: str) -> set[str]:
    return {str(text) for text in found.parts[split].inputs}


def test_the_sets_share_nothing_and_are_all_of_it(base: TrainingBase) -> None:
    found = read(base, ROWS)
    sets = [texts(found, name) for name in (TRAIN, VALIDATION, HELD_OUT)]
    assert sum(len(one) for one in sets) == len(set.union(*sets)) == 300
    assert len(sets[0]) > 200
    assert not found.judged_apart


def test_the_order_of_the_rows_changes_no_set(base: TrainingBase) -> None:
    first, second = read(base, ROWS), read(base, list(reversed(ROWS)))
    assert all(texts(first, name) == texts(second, name) for name in first.parts)


def test_repetitions_are_left_out_and_counted(base: TrainingBase) -> None:
    found = read(base, [*ROWS, *ROWS[:7]])
    assert any("7 repeated" in note for note in found.notes)
    assert sum(len(part.classes) for part in found.parts.values()) == 300


def test_what_resembles_the_held_out_is_not_trained_on(base: TrainingBase) -> None:
    leaked = [(f"{text.upper()}!", label) for text, label in OTHERS[:5]]
    found = read(base, [*ROWS, *leaked], OTHERS)
    assert any("5 training examples resemble" in note for note in found.notes)
    assert found.judged_apart
    assert texts(found, HELD_OUT) == {text for text, _ in OTHERS}
    trained = texts(found, TRAIN) | texts(found, VALIDATION)
    assert not trained & {text for text, _ in leaked}


@pytest.mark.parametrize(
    ("rows", "judge", "said"),
    [
        (ROWS[:20], None, "20 different examples; at least 30"),
        ([(text, "good") for text, _ in ROWS], None, "one class only"),
        (ROWS, [(text, "superb") for text, _ in OTHERS], "'superb'"),
        ([("the very same", "good" if n % 2 else "bad") for n in range(90)], None, "0 different"),
    ],
)
def test_bad_data_is_said(base: TrainingBase, rows: Rows, judge: Rows | None, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read(base, rows, judge)


def test_a_file_that_is_not_there_is_said(base: TrainingBase) -> None:
    with Store(base.folder / "store") as store, pytest.raises(UsageError, match="no data"):
        read_training_data("nowhere.csv", None, base=base, store=store)
