"""Whether a student may learn from a teacher, how it is made, and how much smaller it is."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deployopt.core.distill_request import DistillRequest
from deployopt.core.errors import UsageError
from deployopt.core.source import SourceModel
from deployopt.pipeline.students import (
    check_alike,
    model_shape,
    require_text_model,
    student_recipe,
)
from deployopt.sources.models import resolve_model
from deployopt.steps.distil import Distil
from deployopt.steps.prune import Prune
from deployopt.store.store import Store
from tests.fakes.model_folder import write_image_model, write_text_model


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as opened:
        yield opened


def model(store: Store, folder: Path, **changed: object) -> SourceModel:
    labels = changed.pop("labels", ("bad", "good"))
    made = write_text_model(folder, labels, tokenizer=True, **changed)  # type: ignore[arg-type]
    return resolve_model(str(made), store=store)


@pytest.fixture
def teacher(store: Store, tmp_path: Path) -> SourceModel:
    return model(store, tmp_path / "teacher", n_layers=6, hidden_dim=64)


def request(**options: Any) -> DistillRequest:
    return DistillRequest(teacher="t", output=Path("out"), **options)


def test_alike_whatever_the_size(teacher: SourceModel, store: Store, tmp_path: Path) -> None:
    check_alike(teacher, model(store, tmp_path / "small", n_layers=2, hidden_dim=16))


@pytest.mark.parametrize("labels", [("good", "bad"), ("bad", "good", "so-so")])
def test_other_labels_are_refused(
    labels: tuple[str, ...], teacher: SourceModel, store: Store, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"/teacher 'bad', 'good'\. Give a student with"):
        check_alike(teacher, model(store, tmp_path / "other", labels=labels))


def test_another_tokenizer_is_refused_and_its_settings_are_not(
    teacher: SourceModel, store: Store, tmp_path: Path
) -> None:
    folder = write_text_model(tmp_path / "other", ("bad", "good"), tokenizer=True)
    path = folder / "tokenizer.json"
    found = json.loads(path.read_text())
    path.write_text(json.dumps(found | {"truncation": {"max_length": 8, "stride": 0,
        "strategy": "LongestFirst", "direction": "Right"}}))  # fmt: skip
    check_alike(teacher, resolve_model(str(folder), store=store))
    found["model"]["vocab"] = dict(zip(found["model"]["vocab"], range(99), strict=False))
    words = list(found["model"]["vocab"])
    found["model"]["vocab"] = {word: at for at, word in enumerate([*words[:5], *words[:4:-1]])}
    path.write_text(json.dumps(found))
    with pytest.raises(UsageError, match=r"another tokenizer .*their model differ"):
        check_alike(teacher, resolve_model(str(folder), store=store))


def test_only_text_classifiers_of_known_families(
    teacher: SourceModel, store: Store, tmp_path: Path
) -> None:
    require_text_model(teacher)
    with pytest.raises(UsageError, match="no text classifier in Hugging Face form"):
        require_text_model(
            resolve_model(str(write_image_model(tmp_path / "pictures")), store=store)
        )


def test_a_cut_student(teacher: SourceModel) -> None:
    recipe = student_recipe(request(layers=3, ffn=0.5, epochs=2), teacher)
    assert recipe.steps == (
        Prune(layers=(0, 2, 4), ffn=0.5),
        Distil(layers=(0, 2, 4), epochs=2),
    )
    narrow = student_recipe(request(ffn=0.5), teacher)
    assert narrow.steps == (Prune(ffn=0.5), Distil(layers=(0, 1, 2, 3, 4, 5)))


def test_a_named_student_is_taught_as_it_is(store: Store, tmp_path: Path) -> None:
    small = model(store, tmp_path / "small", n_layers=2)
    assert student_recipe(request(student="small"), small).steps == (Distil(),)
    both = student_recipe(request(student="small", keep=(1,)), small)
    assert both.steps == (Prune(layers=(1,)), Distil())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"layers": 7}, "7 layers cannot be kept of 6"),
        ({"keep": (3, 6)}, "has layers 0 to 5"),
        ({"heads": 0.5}, "keeps all 2 heads"),
    ],
)
def test_what_cannot_be_left(options: dict[str, Any], words: str, teacher: SourceModel) -> None:
    with pytest.raises(UsageError, match=words):
        student_recipe(request(**options), teacher)


def test_sizes(teacher: SourceModel, store: Store, tmp_path: Path) -> None:
    before = model_shape(teacher, teacher.artifact, 20)
    assert (before.layers, before.hidden, before.heads, before.ffn) == (6, 8, 2, 64)
    assert before.length == 20
    small = model(store, tmp_path / "small", n_layers=3, hidden_dim=64)
    after = model_shape(small, small.artifact, 20)
    assert before.macs is not None
    assert after.macs is not None
    assert 1.8 < before.macs / after.macs <= 2
    # The folder's weights hold a head and a table alone: counted as they are.
    assert before.parameters == 2 * 8 + 17 * 8
