"""Recall of two models on the same pairs, and what each pair has to do with it."""

import numpy as np
import pytest

from deployopt.core.errors import IntegrityError
from deployopt.device.retrieving.pairing import Embeddings, embeddings_of, pair_retrievals

NAMES = ("image_embeds", "text_embeds")


def both(images: list[list[float]], texts: list[list[float]]) -> Embeddings:
    return Embeddings(images=np.array(images), texts=np.array(texts))


GOOD = both([[1, 0, 0], [0, 1, 0], [0, 0, 1]], [[1, 0, 0], [0, 1, 0], [0, 0, 1]])
WORSE = both([[1, 0, 0], [0, 1, 0], [0, 1.0, 0.9]], [[1, 0, 0], [0, 1, 0], [0, 0, 1]])


def test_recall_is_the_mean_of_both_directions() -> None:
    found = pair_retrievals(("a", "b", "c"), GOOD, WORSE)
    assert [found.loss.reference, found.loss.candidate] == pytest.approx([1.0, 5 / 6])
    assert list(found.loss.image_to_text) == pytest.approx([1.0, 2 / 3])
    assert found.loss.text_to_image == (1.0, 1.0)
    assert (found.loss.unlike, found.lost, found.gained) == (1, 1, 0)


def test_pulls_are_what_leaving_out_takes_off() -> None:
    found = pair_retrievals(("a", "b", "c"), GOOD, WORSE)
    # Without the second pair nobody takes the third's place, and without the third it is not asked.
    assert found.loss.pulls == pytest.approx((2 * (1 / 6 - 1 / 4), 2 / 6, 2 / 6))


def test_the_same_caption_is_no_other_candidate() -> None:
    found = pair_retrievals(("a cat", "a  Cat", "c"), WORSE, WORSE)
    assert found.loss.reference == pytest.approx(5 / 6)
    swapped = both([[0, 1, 0], [1, 0, 0], [0, 0, 1]], [[1, 0, 0], [0, 1, 0], [0, 0, 1]])
    assert pair_retrievals(("a cat", "a  Cat", "c"), swapped, GOOD).loss.reference == 1.0
    assert pair_retrievals(("a cat", "a dog", "c"), swapped, GOOD).loss.reference < 0.5


def test_outputs_are_joined_in_order() -> None:
    outputs = [
        {NAMES[0]: np.full((1, 2), at, np.float32), NAMES[1]: np.full((1, 2), -at, np.float32)}
        for at in range(3)
    ]
    found = embeddings_of(NAMES, outputs)
    assert found.images[:, 0].tolist() == [0, 1, 2]
    assert found.texts.dtype == np.float64


def test_outputs_of_another_form_are_told() -> None:
    with pytest.raises(IntegrityError, match="no embedding a request"):
        embeddings_of(NAMES, [{NAMES[0]: np.zeros(2), NAMES[1]: np.zeros((1, 2))}])
    with pytest.raises(IntegrityError, match="of one width"):
        embeddings_of(NAMES, [{NAMES[0]: np.zeros((1, 3)), NAMES[1]: np.zeros((1, 2))}])
