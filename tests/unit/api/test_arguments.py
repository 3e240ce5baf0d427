"""What callers may give in several forms."""

from pathlib import Path

import pytest

from deployopt.api.arguments import labels_file
from deployopt.core.errors import UsageError


def test_labels_are_a_file_of_a_named_model_and_words_of_a_module() -> None:
    assert labels_file("./clip", "labels.txt") == Path("labels.txt")
    assert labels_file("./clip", ()) is None
    assert labels_file(object(), ("cat", "dog")) is None
    with pytest.raises(UsageError, match="given as a file"):
        labels_file("./clip", ("cat", "dog"))
    with pytest.raises(UsageError, match="not as a file"):
        labels_file(object(), "labels.txt")
