"""Training data from a hub on loopback, as `finetune`, `distill` and `--train-data` read them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deployopt.core.errors import UsageError
from deployopt.core.examples import decode_examples
from deployopt.core.request import BuildRequest
from deployopt.pipeline.material import gather_material
from deployopt.planning.targets import load_target
from deployopt.sources.data import load_dataset
from deployopt.sources.models import resolve_model
from deployopt.sources.training_base import TrainingBase, resolve_base
from deployopt.sources.training_data import TrainingData, read_training_data
from deployopt.sources.training_lots import HELD_OUT, TRAIN
from deployopt.store.store import Store
from tests.fakes.hub import FakeHub, the_hub, write_sst2
from tests.fakes.model_folder import sentences, write_image_model, write_text_model

pytest.importorskip("huggingface_hub")
DATA = "datasets/stanfordnlp/sst2"
GATE = {text for text, _ in sentences(200, 1)}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as opened:
        yield opened


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    with the_hub(monkeypatch) as running:
        running.add(DATA, write_sst2(tmp_path / "served"))
        yield running


@pytest.fixture
def base(tmp_path: Path, store: Store) -> TrainingBase:
    return resolve_base(str(write_text_model(tmp_path / "base")), store)


def texts(data: TrainingData, split: str) -> set[str]:
    return {str(text) for text in data.parts[split].inputs}


@pytest.mark.usefixtures("hub")
def test_a_known_name_trains_with_one_split_and_is_judged_by_the_other(
    base: TrainingBase, store: Store
) -> None:
    data = read_training_data("sst2", None, base=base, store=store)
    assert data.judged_apart
    assert not data.new_head
    assert texts(data, HELD_OUT) == GATE
    assert len(texts(data, TRAIN)) > 300
    assert any("1 training examples resemble held-out ones" in note for note in data.notes)


@pytest.mark.usefixtures("hub")
def test_a_file_of_a_dataset_is_cut(base: TrainingBase, store: Store) -> None:
    name = f"hub:{DATA}:data/train-00000-of-00001.parquet"
    data = read_training_data(name, None, base=base, store=store)
    assert not data.judged_apart
    assert sum(len(part.classes) for part in data.parts.values()) == 400
    judged = read_training_data(name, "sst2", base=base, store=store)
    assert texts(judged, HELD_OUT) == GATE
    with pytest.raises(UsageError, match="has 2 data files"):
        read_training_data(f"hub:{DATA}", None, base=base, store=store)


@pytest.mark.usefixtures("hub")
def test_students_learn_from_what_does_not_judge(tmp_path: Path, store: Store) -> None:
    source = resolve_model(str(write_text_model(tmp_path / "model")), store=store)
    dataset = load_dataset("sst2", model=source, store=store)
    request = BuildRequest(model="m", target=load_target("x86-cpu"), train_data="sst2")
    # Calibration and search come of the same files: what is left is little, and is not theirs.
    with pytest.raises(UsageError, match="at least 30 are needed"):
        gather_material(request, source, dataset, store)
    one = f"hub:{DATA}:data/validation-00000-of-00001.parquet"
    judge = load_dataset(one, model=source, store=store)
    found = gather_material(request, source, judge, store)
    assert found is not None
    assert found.labelled
    kept = len(decode_examples(found.lesson.train)) + len(decode_examples(found.lesson.validation))
    assert kept == 399


@pytest.mark.usefixtures("hub")
def test_an_image_model_is_not_taught_with_texts(tmp_path: Path, store: Store) -> None:
    base = resolve_base(str(write_image_model(tmp_path / "pictures")), store)
    with pytest.raises(UsageError, match="takes images"):
        read_training_data("sst2", None, base=base, store=store)
