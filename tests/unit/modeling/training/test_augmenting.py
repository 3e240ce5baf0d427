"""Changed examples are like the ones they came from, and the same for the same numbers."""

import numpy as np

from deployopt.core.examples import IMAGE
from deployopt.core.interface import ImageInputs, TextInputs
from deployopt.modeling.training.augmenting import augmented, changed_image, changed_text

TEXT = "one two three four five six seven eight nine ten eleven twelve"
INPUTS = ImageInputs(input_name="pixel_values", height=8, width=8)


def test_a_text_keeps_nearly_all_its_words() -> None:
    changed = [changed_text(TEXT, np.random.default_rng(seed)) for seed in range(200)]
    assert len(set(changed)) > 100
    for text in changed:
        assert set(text.split()) <= set(TEXT.split())
    kept = np.mean([len(text.split()) for text in changed])
    assert 10 < kept < 11.5


def test_short_texts_stay_and_none_becomes_empty() -> None:
    random = np.random.default_rng(0)
    assert changed_text("too short", random) == "too short"
    assert all(changed_text("a b c", np.random.default_rng(n)) for n in range(2_000))


def test_the_same_numbers_change_the_same_way() -> None:
    first, again = (
        augmented(TEXT, TextInputs(max_length=9), np.random.default_rng((1, 2, 3)))
        for _ in range(2)
    )
    assert first == again


def test_an_image_is_cropped_to_size_and_sometimes_mirrored() -> None:
    image = np.arange(12 * 10 * 3, dtype=np.uint8).reshape(12, 10, 3)
    found = [changed_image(image, INPUTS, np.random.default_rng(n)) for n in range(60)]
    windows = {
        image[top : top + 8, left : left + 8].tobytes() for top in range(5) for left in range(3)
    }
    plain = sum(crop.tobytes() in windows for crop in found)
    assert 15 < plain < 45
    assert all(crop.tobytes() in windows or crop[:, ::-1].tobytes() in windows for crop in found)


def test_an_image_of_the_models_own_size_gets_a_border() -> None:
    image = np.random.default_rng(0).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    example = augmented({IMAGE: image}, INPUTS, np.random.default_rng(1))
    assert not isinstance(example, str)
    assert example[IMAGE].shape == (8, 8, 3)
    assert example[IMAGE].dtype == np.uint8
