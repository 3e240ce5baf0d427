"""What to give in the place of an alias, by its family."""

import pytest

from deployopt.catalogue.models import find_entry
from deployopt.sources.ways_in import way_in


@pytest.mark.parametrize(
    ("alias", "words"),
    [
        ("rt-detr-r18", "hub:PekingU/rtdetr_r18vd, with images and their boxes"),
        ("detr-resnet-50", "hub:facebook/detr-resnet-50"),
        ("siglip-base", "with captions as --data, or with --labels"),
        ("clip-vit-b-32", "image-text models are built from their folder"),
        ("sd-1.5", "with prompts as --data"),
    ],
)
def test_families_that_are_read_from_a_folder_say_how(alias: str, words: str) -> None:
    found = way_in(find_entry(alias))
    assert found is not None
    assert words in found


@pytest.mark.parametrize("alias", ["yolov8n", "yolox-s", "llama-2-70b"])
def test_of_others_nothing_is_said(alias: str) -> None:
    assert way_in(find_entry(alias)) is None
