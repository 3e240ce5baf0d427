"""`--column ROLE=NAME` as a mapping."""

import pytest

from deployopt.cli.columns import read_columns
from deployopt.core.errors import UsageError


def test_roles_and_names() -> None:
    assert read_columns(["text=a=b", "label=stars"]) == {"text": "a=b", "label": "stars"}
    assert read_columns(None) == {}


@pytest.mark.parametrize("option", ["text", "image=x", "=x"])
def test_another_form_is_refused(option: str) -> None:
    with pytest.raises(UsageError, match="not text=NAME"):
        read_columns([option])
