"""Two encoders side by side, and one of them with labels in the other's place."""

import pytest

from deployopt.core.errors import UsageError
from deployopt.planning.architectures import read_architecture
from deployopt.planning.architectures.towers import LABELS

CLIP = {
    "model_type": "clip",
    "architectures": ["CLIPModel"],
    "text_config": {},
    "vision_config": {},
}
WHOLE = 151_277_313
"""Of CLIP's ViT-B/32 as transformers makes it from the same sizes."""
TEXT = 63_165_952
"""Of its text encoder."""


def test_clip_is_counted_whole() -> None:
    assert read_architecture(CLIP).parameters == WHOLE


def test_labels_stand_in_the_text_towers_place() -> None:
    found = read_architecture({**CLIP, LABELS: 1000})
    # Less the text encoder, its projection and the scale; more a row a label.
    assert found.parameters == WHOLE - TEXT - 512 * 512 - 1 + 1000 * 512
    assert [stack.name for stack in found.stacks] == ["vision"]
    assert found.labels == 1000
    assert found.vocabulary == 0


@pytest.mark.parametrize("labels", [-1, "many"])
def test_labels_are_a_number(labels: object) -> None:
    with pytest.raises(UsageError, match=LABELS):
        read_architecture({**CLIP, LABELS: labels})


def test_siglips_labels_need_no_projection() -> None:
    config = {**CLIP, "model_type": "siglip", "architectures": ["SiglipModel"]}
    whole = read_architecture(config)
    # As transformers makes it from the same sizes, and the published one.
    assert whole.parameters == 203_155_970
    found = read_architecture({**config, LABELS: 1000})
    text = (32000 + 64) * 768 + 12 * 7_087_872 + 2 * 768 + 768 * 768 + 768
    assert found.parameters == whole.parameters - text - 2 + 1000 * 768
    assert (found.model_type, found.labels) == ("siglip", 1000)
