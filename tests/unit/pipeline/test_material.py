"""What students learn from: none of it judges, all of it is counted, and bad data is said."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image

from deployopt.core.errors import UsageError
from deployopt.core.examples import decode_examples
from deployopt.core.request import BuildRequest
from deployopt.core.source import Dataset, SourceModel
from deployopt.pipeline.material import Material, gather_material
from deployopt.planning.targets import load_target
from deployopt.sources.data import load_dataset
from deployopt.sources.models import resolve_model
from deployopt.store.store import Store
from tests.fakes.model_folder import LABELS, sentences, write_image_model, write_text_model
from tests.fakes.models import write_csv

Rows = Sequence[tuple[str, object]]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as opened:
        yield opened


class Bench:
    """A model with evaluation data; `gather` asks for material."""

    def __init__(self, folder: Path, model: Path, data: Path, store: Store) -> None:
        self.folder, self.store = folder, store
        self.source: SourceModel = resolve_model(str(model), store=store)
        self.dataset: Dataset = load_dataset(str(data), model=self.source, store=store)

    def gather(self, train: Path | None, unlabelled: Path | None = None) -> Material | None:
        request = BuildRequest(
            model="model",
            target=load_target("x86-cpu"),
            train_data=None if train is None else str(train),
            unlabelled=unlabelled,
        )
        return gather_material(request, self.source, self.dataset, self.store)

    def judged(self) -> list[str]:
        texts: list[str] = []
        for split in self.dataset.splits.values():
            texts += map(str, decode_examples(split.path).inputs)
        return texts


def rows(count: int, seed: int) -> list[tuple[str, object]]:
    return [(text, LABELS[at]) for text, at in sentences(count, seed)]


@pytest.fixture
def texts(tmp_path: Path, store: Store) -> Bench:
    model = write_text_model(tmp_path / "model")
    return Bench(tmp_path, model, write_csv(tmp_path / "judge.csv", rows(200, 0)), store)


@pytest.fixture
def images(tmp_path: Path, store: Store) -> Bench:
    model = write_image_model(tmp_path / "model")
    judge = pictures(tmp_path / "judge", range(60))
    return Bench(tmp_path, model, judge, store)


def pictures(folder: Path, seeds: Sequence[int]) -> Path:
    for at, seed in enumerate(seeds):
        pixels = np.random.default_rng(seed).integers(0, 256, (12, 10, 3), dtype=np.uint8)
        path = folder / ("cat", "dog")[seed % 2] / f"{at}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return folder


def read(material: Material | None) -> Material:
    assert material is not None
    return material


def test_nothing_was_given(texts: Bench) -> None:
    assert texts.gather(None) is None


def test_texts_that_judge_teach_nothing(texts: Bench) -> None:
    fresh = [row for row in rows(400, 5) if row[0] not in set(texts.judged())]
    leaked = [(f"{text.upper()} !", LABELS[0]) for text in texts.judged()[:9]]
    plain = texts.folder / "more.txt"
    plain.write_text("\n".join((texts.judged()[10], "a line of its own that nobody else wrote")))
    found = read(texts.gather(write_csv(texts.folder / "train.csv", [*fresh, *leaked]), plain))
    train, chosen = decode_examples(found.lesson.train), decode_examples(found.lesson.validation)
    assert len(train) == found.examples
    assert found.unlabelled == (train.labels or ()).count(-1) == 1
    assert found.labelled
    assert len(train) + len(chosen) <= len(fresh) + 1
    assert any("resemble ones that calibrate, search or judge" in note for note in found.notes)
    with_leak = found.lesson.digest
    without = read(texts.gather(write_csv(texts.folder / "train.csv", fresh), plain))
    assert without.lesson.digest == with_leak
    assert found.lesson.teacher == texts.source.artifact.folder


def test_texts_alone_need_no_labels(texts: Bench) -> None:
    plain = texts.folder / "plain.txt"
    plain.write_text("\n".join(f"{text} or number {at}" for at, (text, _) in
                               enumerate(sentences(120, 7))))  # fmt: skip
    found = read(texts.gather(plain))
    again = read(texts.gather(None, plain))
    assert (found.labelled, found.name) == (False, "plain.txt")
    assert found.unlabelled == found.examples > 80
    assert again.lesson == found.lesson


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: [(t, "superb") for t, _ in rows(80, 5)], "labels that the model does not have"),
        (lambda: [(t, LABELS[0]) for t, _ in rows(80, 5)], "one class only"),
        (lambda: rows(200, 0), "leaves 0 texts to learn from"),
        (list, "holds no examples"),
    ],
)
def test_bad_training_data_is_said(texts: Bench, make: Callable[[], Rows], said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        texts.gather(write_csv(texts.folder / "train.csv", make()))
    assert "\n" not in str(caught.value)


def test_an_empty_file_of_texts_is_said(texts: Bench) -> None:
    (texts.folder / "empty.txt").write_text(" \n")
    with pytest.raises(UsageError, match="holds no texts"):
        texts.gather(texts.folder / "empty.txt")


def test_a_graph_cannot_be_taught(texts: Bench) -> None:
    from deployopt.core.artifact import Format

    artifact = msgspec.structs.replace(texts.source.artifact, format=Format.ONNX)
    texts.source = msgspec.structs.replace(texts.source, artifact=artifact)
    with pytest.raises(UsageError, match="Give the folder"):
        texts.gather(write_csv(texts.folder / "train.csv", rows(80, 5)))
    assert texts.gather(None) is None


def test_images_are_kept_as_pixels_and_apart_from_the_judges(images: Bench) -> None:
    train = pictures(images.folder / "train", [*range(20), *range(100, 180), 100])
    found = read(images.gather(train))
    learned, chosen = decode_examples(found.lesson.train), decode_examples(found.lesson.validation)
    assert len(learned) == found.examples
    assert len(learned) + len(chosen) == 80
    assert any(note.startswith("20 of the images") for note in found.notes)
    assert any("1 repeated" in note for note in found.notes)
    feed = learned.inputs[0]
    assert not isinstance(feed, str)
    assert feed["pixel_values"].dtype == np.uint8
    assert feed["pixel_values"].shape == (1, 3, 8, 8)
    assert found.labelled


def test_an_image_lesson_is_written_once(images: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    train = pictures(images.folder / "train", range(100, 180))
    first = images.gather(train)
    monkeypatch.setattr("deployopt.pipeline.image_lessons._Writing", None)
    assert images.gather(train) == first


@pytest.mark.parametrize(
    ("seeds", "said"),
    [
        (range(60), "leaves 0 images to learn from"),
        (range(100, 180, 2), "one class only"),
        (range(100, 110), "holds 10 different images"),
    ],
)
def test_bad_training_images_are_said(images: Bench, seeds: Sequence[int], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        images.gather(pictures(images.folder / "train", seeds))


def test_images_and_texts_are_not_mixed(images: Bench) -> None:
    (images.folder / "plain.txt").write_text("one text")
    with pytest.raises(UsageError, match="takes images"):
        images.gather(None, images.folder / "plain.txt")
    with pytest.raises(UsageError, match="takes images"):
        images.gather(pictures(images.folder / "train", range(100, 180)),
                      images.folder / "plain.txt")  # fmt: skip
