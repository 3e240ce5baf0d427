"""A detector's outputs become boxes as transformers' own post-processing makes them."""

import numpy as np
import pytest

from deployopt.core.errors import IntegrityError
from deployopt.core.interface import BoxForm
from deployopt.device.detecting.decoding import decode_boxes

NAMES = ("logits", "pred_boxes")
SHARED = BoxForm(scores="softmax", most=2)
APART = BoxForm(scores="sigmoid", most=3)
BOXES = np.array([[[0.5, 0.5, 0.2, 0.4], [0.25, 0.5, 0.5, 1.0]]], dtype=np.float32)


def test_shared_scores_give_each_place_its_best_class() -> None:
    logits = np.log(np.array([[[0.2, 0.1, 0.7], [0.1, 0.6, 0.3]]], dtype=np.float32))
    (found,) = decode_boxes(SHARED, NAMES, [{"logits": logits, "pred_boxes": BOXES}], 2)
    assert found.scores == pytest.approx([0.6, 0.2])
    assert found.classes.tolist() == [1, 0]
    assert found.boxes == pytest.approx(np.array([[0, 0, 0.5, 1], [0.4, 0.3, 0.6, 0.7]]))


def test_scores_apart_give_the_best_of_all_places_and_classes() -> None:
    logits = np.array([[[2.0, -1.0], [1.0, 3.0]]], dtype=np.float32)
    (found,) = decode_boxes(APART, NAMES, [{"logits": logits, "pred_boxes": BOXES}], 2)
    assert found.scores == pytest.approx(1 / (1 + np.exp([-3.0, -2.0, -1.0])))
    assert found.classes.tolist() == [1, 0, 0]
    assert found.boxes[:, 0] == pytest.approx([0, 0.4, 0])


def test_a_batch_is_several_images() -> None:
    logits = np.zeros((3, 2, 3), dtype=np.float32)
    output = {"logits": logits, "pred_boxes": np.repeat(BOXES, 3, axis=0)}
    assert len(decode_boxes(SHARED, NAMES, [output, output], 2)) == 6


def test_a_number_that_is_none_has_no_box() -> None:
    logits = np.array([[[np.nan, 1.0], [1.0, 3.0]]], dtype=np.float32)
    broken = BOXES.copy()
    broken[0, 1, 2] = np.inf
    (found,) = decode_boxes(APART, NAMES, [{"logits": logits, "pred_boxes": broken}], 2)
    assert found.classes.tolist() == [1]
    assert np.isfinite(found.boxes).all()


@pytest.mark.parametrize(
    ("logits", "boxes"), [((1, 2, 2), (1, 2, 4)), ((1, 2, 3), (1, 3, 4)), ((2, 3), (1, 2, 4))]
)
def test_other_shapes_are_refused(logits: tuple[int, ...], boxes: tuple[int, ...]) -> None:
    output = {"logits": np.zeros(logits), "pred_boxes": np.zeros(boxes)}
    with pytest.raises(IntegrityError, match="a detector of 2 labels"):
        decode_boxes(SHARED, NAMES, [output], 2)
