"""An image with its boxes, stored and read again."""

from pathlib import Path

import numpy as np
import pytest

from deployopt.core.boxes import Truth, annotated_example, truth_of
from deployopt.core.errors import RefusedInputError
from deployopt.core.examples import IMAGE, Examples, decode_examples, encode_examples

IMAGE_PIXELS = np.zeros((4, 5, 3), dtype=np.uint8)
SEEN = Truth(boxes=np.array([[0.1, 0.2, 0.5, 0.6]]), classes=np.array([2]), crowd=np.array([False]))
EMPTY = Truth(
    boxes=np.zeros((0, 4)), classes=np.zeros(0, dtype=np.int64), crowd=np.zeros(0, dtype=np.bool_)
)


def test_what_is_stored_is_read_again(tmp_path: Path) -> None:
    examples = Examples(
        inputs=[annotated_example(IMAGE_PIXELS, one) for one in (SEEN, EMPTY)], labels=None
    )
    suffix, content = encode_examples(examples)
    path = tmp_path / f"gate{suffix}"
    path.write_bytes(content)
    again = decode_examples(path)
    assert again.annotated
    first, second = truth_of(again.inputs, "it")
    assert first.boxes.tolist() == [[0.1, 0.2, 0.5, 0.6]]
    assert first.classes.tolist() == [2]
    assert len(second.classes) == 0


@pytest.mark.parametrize(
    "change",
    [
        {"boxes": np.zeros((2, 4))},
        {"boxes": np.full((1, 4), np.nan)},
        {"boxes": np.zeros((1, 4), dtype=np.float32)},
        {"classes": np.zeros((1, 1), dtype=np.int64)},
        {"crowd": np.zeros(3, dtype=np.bool_)},
    ],
)
def test_arrays_that_do_not_fit_are_refused(change: dict[str, np.ndarray]) -> None:
    example = {**annotated_example(IMAGE_PIXELS, SEEN), **change}
    with pytest.raises(RefusedInputError, match="do not fit together"):
        truth_of([example], "gate.npz")


def test_an_image_without_boxes_is_refused() -> None:
    with pytest.raises(RefusedInputError, match="without boxes"):
        truth_of([{IMAGE: IMAGE_PIXELS}], "gate.npz")
