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
