"""An image with its caption, stored and read again."""

from pathlib import Path

import numpy as np
import pytest

from deployopt.core.errors import RefusedInputError
from deployopt.core.examples import IMAGE, Example, Examples, decode_examples, encode_examples
from deployopt.core.pairs import caption_of, captioned_example, captions_of

PIXELS = np.zeros((4, 5, 3), dtype=np.uint8)


def test_what_is_stored_is_read_again(tmp_path: Path) -> None:
    captions = ("a cat", "ein Käfig, 日本", "")
    examples = Examples(inputs=[captioned_example(PIXELS, one) for one in captions], labels=None)
    suffix, content = encode_examples(examples)
    path = tmp_path / f"gate{suffix}"
    path.write_bytes(content)
    again = decode_examples(path)
    assert again.captioned
    assert not again.annotated
    assert captions_of(again.inputs, "it") == captions


@pytest.mark.parametrize(
    "example",
    [
        "a text",
        {IMAGE: PIXELS},
        {IMAGE: PIXELS, "caption": np.zeros(3, np.float32)},
        {IMAGE: PIXELS, "caption": np.zeros((1, 3), np.uint8)},
        {IMAGE: PIXELS, "caption": np.array([0xFF, 0xFE], np.uint8)},
    ],
)
def test_what_has_no_caption_is_refused(example: Example) -> None:
    with pytest.raises(RefusedInputError, match="caption"):
        caption_of(example, "the file")
