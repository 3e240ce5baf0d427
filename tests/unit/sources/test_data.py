"""From a data name to three splits in the store."""

import csv
from pathlib import Path

import numpy as np
import pytest

from deployopt.core.errors import IntegrityError, UsageError
from deployopt.core.examples import IMAGE, decode_examples
from deployopt.core.measurement import Split
from deployopt.core.source import SourceModel
from deployopt.sources.data import load_dataset
from deployopt.sources.locking import lock_of
from deployopt.sources.parts import DataOptions
from deployopt.store.store import Store
from tests.fakes.model_folder import LABELS, sentences


def write_csv(path: Path, rows: list[tuple[str, object]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("text", "label"))
        writer.writerows(rows)
    return path


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    rows: list[tuple[str, object]] = [(text, LABELS[at].lower()) for text, at in sentences(200)]
    return write_csv(tmp_path / "reviews.csv", [*rows, rows[0], (" ", "negative")])


def test_a_csv_becomes_three_splits(reviews: Path, text_model: SourceModel, store: Store) -> None:
    data = load_dataset(str(reviews), model=text_model, store=store)
    assert data.labelled
    assert not data.synthetic
    assert data.name == "reviews.csv"
    assert set(data.splits) == set(Split)
    assert sum(split.examples for split in data.splits.values()) == 200
    expected = dict(sentences(200))
    seen: set[str] = set()
    for split in data.splits.values():
        examples = decode_examples(split.path)
        assert len(examples) == split.examples
        assert store.memo.sha256(split.path) == split.digest
        for text, label in zip(examples.inputs, examples.labels or (), strict=True):
            assert expected[str(text)] == label
            assert text not in seen
            seen.add(str(text))
    assert "1 repeated, 1 without text" in " ".join(data.notes)
    assert [entry.path for entry in data.origin.files] == ["reviews.csv"]


def test_the_same_data_again_is_the_same_and_not_read(
    reviews: Path, text_model: SourceModel, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load_dataset(str(reviews), model=text_model, store=store)
    monkeypatch.setattr("deployopt.sources.text_data.read_table", None)
    assert load_dataset(str(reviews), model=text_model, store=store) == first
    with pytest.raises(TypeError):
        load_dataset(str(reviews), model=text_model, store=store, seed=1)


def test_sizes_and_columns_can_be_chosen(
    tmp_path: Path, text_model: SourceModel, store: Store
) -> None:
    path = tmp_path / "a.csv"
    lines = [f"{text};{label}" for text, label in sentences(300)]
    path.write_text("\n".join(("was;urteil", *lines)), encoding="utf-8")
    options = DataOptions(columns={"text": "was", "label": "urteil"}, calibration=7, search=9)
    data = load_dataset(str(path), model=text_model, store=store, options=options)
    assert data.splits[Split.CALIBRATION].examples <= 7
    assert data.splits[Split.SEARCH].examples <= 9
    with pytest.raises(UsageError, match="at least one"):
        DataOptions(calibration=0).check()
    with pytest.raises(UsageError, match="'lable'"):
        load_dataset(
            str(path), model=text_model, store=store, options=DataOptions(columns={"lable": "x"})
        )


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([], "holds no examples"),
        ([("x", 0)], "1 usable examples"),
        ([(text, 0) for text, _ in sentences(100)], "one class only"),
        ([(text, "great") for text, _ in sentences(100)], "'great'"),
        ([(text, at + 1) for text, at in sentences(100)], "2 classes, 0 to 1"),
    ],
)
def test_data_that_cannot_judge(
    tmp_path: Path, text_model: SourceModel, store: Store, rows: list[tuple[str, object]], why: str
) -> None:
    path = write_csv(tmp_path / "a.csv", rows)
    with pytest.raises(UsageError, match=why) as caught:
        load_dataset(str(path), model=text_model, store=store)
    assert caught.value.exit_code == 2


def test_a_gate_that_is_held_is_said_to_be(
    reviews: Path, text_model: SourceModel, store: Store
) -> None:
    options = DataOptions(gate=60)
    data = load_dataset(str(reviews), model=text_model, store=store, options=options)
    assert data.splits[Split.GATE].examples == 60
    assert "held to 60" in data.notes[-1]


def test_no_data_and_no_such_data(text_model: SourceModel, store: Store) -> None:
    with pytest.raises(UsageError, match="brings no evaluation data"):
        load_dataset(None, model=text_model, store=store)
    with pytest.raises(UsageError, match="none of demo-sentiment, sst2"):
        load_dataset("reviews.csv", model=text_model, store=store)
    with pytest.raises(UsageError, match="takes no plain arrays"):
        load_dataset("synthetic", model=text_model, store=store)


def test_a_folder_with_one_data_file(reviews: Path, text_model: SourceModel, store: Store) -> None:
    folder = reviews.parent / "folder"
    folder.mkdir()
    reviews.rename(folder / "reviews.csv")
    assert load_dataset(str(folder), model=text_model, store=store).name == "reviews.csv"
    (folder / "other.csv").write_text("", encoding="utf-8")
    with pytest.raises(UsageError, match=r"2 data files \(other\.csv, reviews\.csv\)"):
        load_dataset(str(folder), model=text_model, store=store)


def test_locked_data_that_changed_is_refused(
    reviews: Path, text_model: SourceModel, store: Store
) -> None:
    lock = lock_of([load_dataset(str(reviews), model=text_model, store=store).origin])
    assert load_dataset(str(reviews), model=text_model, store=store, lock=lock)
    with reviews.open("a", encoding="utf-8") as stream:
        stream.write("one more,0\n")
    with pytest.raises(IntegrityError, match=r"reviews\.csv has sha256"):
        load_dataset(str(reviews), model=text_model, store=store, lock=lock)


def test_a_folder_of_images(tmp_path: Path, image_model: SourceModel, store: Store) -> None:
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    for name, count in {"Cat": 30, "dog": 30}.items():
        (tmp_path / "images" / name).mkdir(parents=True)
        for at in range(count):
            pixels = rng.integers(0, 256, (12, 20, 3), dtype=np.uint8)
            image.fromarray(pixels).save(tmp_path / "images" / name / f"{at}.png")
    data = load_dataset(str(tmp_path / "images"), model=image_model, store=store)
    assert data.labelled
    assert sum(split.examples for split in data.splits.values()) == 60
    gate = decode_examples(data.splits[Split.GATE].path)
    assert set(gate.labels or ()) == {0, 1}
    first = gate.inputs[0]
    assert not isinstance(first, str)
    assert first[IMAGE].shape == (10, 17, 3)
    assert first[IMAGE].dtype == np.uint8
