"""A CLIP folder with labels becomes a classifier in the store."""

from pathlib import Path

import pytest

from deployopt.core.errors import UsageError
from deployopt.core.interface import Task
from deployopt.core.zero_shot import Padding, read_zero_shot
from deployopt.sources.models import resolve_model
from deployopt.store.store import Store
from tests.fakes.clip_folder import write_clip_folder, write_siglip_folder


@pytest.fixture
def clip(tmp_path: Path) -> str:
    return str(write_clip_folder(tmp_path / "clip"))


def write_labels(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "labels.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_labels_stand_beside_the_model_as_token_ids(
    clip: str, tmp_path: Path, store: Store
) -> None:
    plain = resolve_model(clip, store=store)
    labels = write_labels(tmp_path, "a photo of a cat", "the dog")
    found = resolve_model(clip, store=store, labels=labels)
    assert found.interface.task is Task.ZERO_SHOT
    assert found.interface.labels == ("a photo of a cat", "the dog")
    fixed = read_zero_shot(found.artifact.folder)
    assert fixed is not None
    assert fixed.captions == (((0, 2, 3, 4, 2, 5, 1),), ((0, 7, 6, 1),))
    assert not fixed.padding
    assert found.artifact.digest != plain.artifact.digest
    assert [entry.path for entry in found.origin.files][-1] == "labels/labels.txt"
    assert resolve_model(clip, store=store, labels=labels) == found
    assert resolve_model(clip, store=store) == plain


def test_siglips_captions_are_padded_when_they_are_read(tmp_path: Path, store: Store) -> None:
    folder = write_siglip_folder(tmp_path / "siglip", model_input_names=["input_ids"])
    labels = write_labels(tmp_path, "A photo of a cat!", "the dog")
    found = resolve_model(str(folder), store=store, labels=labels)
    assert found.interface.apart
    fixed = read_zero_shot(found.artifact.folder)
    assert fixed is not None
    assert fixed.captions == (((3, 4, 5, 3, 6, 1),), ((8, 7, 1),))
    assert fixed.padding == Padding(length=64, pad_id=1, masked=False)


def test_other_labels_are_another_model(clip: str, tmp_path: Path, store: Store) -> None:
    first = resolve_model(clip, store=store, labels=write_labels(tmp_path, "a cat", "a dog"))
    second = resolve_model(clip, store=store, labels=write_labels(tmp_path, "a dog", "a cat"))
    assert first.artifact.digest != second.artifact.digest


def test_a_caption_that_is_too_long_is_told(clip: str, tmp_path: Path, store: Store) -> None:
    labels = write_labels(tmp_path, "a cat", "a photo of the dog the photo of a cat")
    with pytest.raises(UsageError, match=r"line 2.*has 12 tokens.*reads 8 at most"):
        resolve_model(clip, store=store, labels=labels)


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("labels.txt", "a  cat\na cat\n", 2),
        ("labels.csv", "text,label\na cat,cat\na dog,dog\na cat,cat\n", 4),
    ],
)
def test_captions_that_are_the_same_to_the_model_are_told(
    clip: str, tmp_path: Path, store: Store, name: str, text: str, line: int
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=rf"line {line}: to the model the caption 'a cat' is"):
        resolve_model(clip, store=store, labels=tmp_path / name)


def test_a_model_with_labels_of_its_own_takes_none(
    text_folder: Path, tmp_path: Path, store: Store
) -> None:
    labels = write_labels(tmp_path, "a cat", "a dog")
    with pytest.raises(UsageError, match="--labels is for image-text models"):
        resolve_model(str(text_folder), store=store, labels=labels)
