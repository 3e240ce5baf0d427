"""`deployopt distill` from end to end: an ordinary folder, judged, made once, refused early."""

import json
import shutil
from pathlib import Path

import pytest

import deployopt
from deployopt import api
from deployopt.core.errors import UsageError
from tests.fakes import models
from tests.functional.conftest import Done, Invoke, check_schema

pytestmark = [pytest.mark.torch, pytest.mark.slow]


@pytest.fixture(scope="module")
def teacher(shelf: Path) -> Path:
    return models.train_text_model(shelf / "teacher", layers=3, steps=50)


@pytest.fixture(scope="module")
def store(shelf: Path) -> Path:
    return shelf / "distill-store"


@pytest.fixture(scope="module")
def student(shelf: Path) -> Path:
    return shelf / "student"


@pytest.fixture(scope="module")
def done(invoke: Invoke, teacher: Path, texts: Path, store: Path, student: Path) -> Done:
    return distilled(invoke, teacher, texts, store, student)


def distilled(
    invoke: Invoke, teacher: Path, texts: Path, store: Path, student: Path, *more: object
) -> Done:
    words = (
        "distill", "--teacher", teacher, "--keep-layers", "0,2", "--ffn", "0.5", "--data", texts,
        "--epochs", "2", "--learning-rate", "1e-3", "--store", store, "-o", student, "--json",
    )  # fmt: skip
    return invoke(*words, *more)


def test_a_student_beside_its_teacher(done: Done, student: Path) -> None:
    found = done.json
    check_schema("distill-result", found)
    assert done.code == found["exit_code"] == 0, done.err
    assert found["before"]["layers"] == 3
    assert found["after"]["layers"] == 2
    assert found["after"]["ffn"] == 128
    assert found["kept_layers"] == [0, 2]
    assert found["lessons"]["layer_map"] == [1, 2]
    assert found["macs_ratio"] > 2
    assert found["after"]["parameters"] < found["before"]["parameters"]
    assert found["teacher_accuracy"]["estimate"] > 0.85
    assert found["agreement"]["estimate"] > 0.85
    assert found["loss"]["lower"] <= found["loss"]["estimate"] <= found["loss"]["upper"]
    held_out = found["splits"]["held-out"]
    assert found["student_accuracy"]["n"] == found["agreement"]["n"] == held_out
    lost = found["lost"] - found["gained"]
    assert found["loss"]["estimate"] == pytest.approx(lost / held_out)
    assert sorted(path.name for path in student.iterdir()) == [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "training.json",
    ]
    assert "A student of" in done.err


def test_the_student_builds_as_any_model(
    done: Done, student: Path, texts: Path, here: Path
) -> None:
    assert done.code == 0
    built = deployopt.build(
        model=student, target=here, data=texts, output=student.parent / "student-bundle"
    )
    assert built.exit_code in (0, 3)
    assert built.bundle is not None


def test_the_same_again_is_found_in_the_store(
    done: Done, invoke: Invoke, teacher: Path, texts: Path, store: Path, student: Path
) -> None:
    again = distilled(invoke, teacher, texts, store, student).json
    assert again["reused"] is True
    assert done.json["reused"] is False
    assert again["digest"] == done.json["digest"]
    assert again["loss"] == done.json["loss"]
    other = distilled(invoke, teacher, texts, store, student, "--seed", 1).json
    assert other["reused"] is False
    assert other["digest"] != done.json["digest"]


def test_texts_without_labels_alone(teacher: Path, store: Path, tmp_path: Path) -> None:
    path = tmp_path / "more.txt"
    path.write_text("\n".join(text for text, _ in models.labelled_texts(400, seed=7)))
    found = api.distill(
        teacher=teacher, layers=2, unlabelled=path, epochs=1, store=store, output=tmp_path / "s"
    )
    assert found.teacher_accuracy is None
    assert found.loss.upper > 0
    assert found.lost == round((1 - found.agreement.estimate) * found.agreement.n)
    assert found.kept_layers == (0, 1)


def test_a_named_student(
    done: Done, teacher: Path, student: Path, texts: Path, store: Path
) -> None:
    assert done.code == 0
    found = api.distill(
        teacher=teacher, student=student, data=texts, epochs=1, store=store,
        output=student.parent / "again",
    )  # fmt: skip
    assert found.kept_layers == ()
    assert found.lessons.layer_map == (0, 2)
    assert found.untrained_agreement > 0.8


def spoiled(student: Path, folder: Path, name: str, **changed: object) -> Path:
    shutil.copytree(student, folder)
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    return folder


@pytest.mark.parametrize(
    ("name", "changed", "words"),
    [
        ("tokenizer.json", {"normalizer": None}, "another tokenizer .* normalizer differ"),
        (
            "config.json",
            {"id2label": {"0": "good", "1": "bad"}, "label2id": {"good": 0, "bad": 1}},
            "answers 'good', 'bad' and the teacher",
        ),
    ],
)
def test_a_student_that_speaks_otherwise_is_refused(
    name: str,
    changed: dict[str, object],
    words: str,
    done: Done,
    teacher: Path,
    student: Path,
    store: Path,
    tmp_path: Path,
) -> None:
    assert done.code == 0
    other = spoiled(student, tmp_path / "other", name, **changed)
    with pytest.raises(UsageError, match=words):
        api.distill(teacher=teacher, student=other, store=store, output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--layers", 4), "4 layers cannot be kept of 3"),
        (("--keep-layers", "0,3"), "has layers 0 to 2"),
        (("--keep-layers", "0;1"), "write whole numbers, as 0,2,4"),
        (("--layers", 2, "--keep-layers", "0,1"), "Give one of them"),
        (("--heads", 0.5), "keeps all 2 heads"),
        (("--layers", 2, "--time-limit", "soon"), "--time-limit"),
        ((), "Nothing says how the student differs"),
        (("--layers", 2), "brings no texts to learn from"),
    ],
)
def test_what_is_refused_before_any_work(
    options: tuple[object, ...],
    words: str,
    invoke: Invoke,
    teacher: Path,
    store: Path,
    tmp_path: Path,
) -> None:
    found = invoke(
        "distill", "--teacher", teacher, "--store", store, "-o", tmp_path / "out", *options
    )
    assert found.code == 2
    assert words in found.paragraph
    assert not (tmp_path / "out").exists()


def test_data_of_other_labels(invoke: Invoke, teacher: Path, store: Path, tmp_path: Path) -> None:
    rows = [(text, ("cat", "dog")[label]) for text, label in models.labelled_texts(200)]
    data = models.write_csv(tmp_path / "pets.csv", rows)
    found = invoke(
        "distill", "--teacher", teacher, "--layers", 2, "--data", data, "--store", store,
        "-o", tmp_path / "out",
    )  # fmt: skip
    assert found.code == 2
    assert "has the labels 'cat', 'dog' and the teacher" in found.paragraph


def test_a_time_limit_too_short_to_learn_anything(
    invoke: Invoke, teacher: Path, texts: Path, store: Path, tmp_path: Path
) -> None:
    found = invoke(
        "distill", "--teacher", teacher, "--layers", 1, "--data", texts, "--store", store,
        "--time-limit", "1ms", "-o", tmp_path / "out",
    )  # fmt: skip
    assert found.code == 5
    assert "before the student learned anything" in found.paragraph
    assert not (tmp_path / "out").exists()
