"""The call refuses what says nothing, before anything is opened."""

from pathlib import Path

import pytest

from deployopt import api
from deployopt.core.errors import IntegrityError, UsageError


def test_no_examples(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="0 examples show nothing"):
        api.emulate(tmp_path, examples=0)


def test_growth_against_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs an earlier result"):
        api.emulate(tmp_path, growth_max=0.1)


def test_an_earlier_result_that_is_none(tmp_path: Path) -> None:
    old = tmp_path / "old.json"
    old.write_text("{}")
    with pytest.raises(IntegrityError, match=r"old\.json"):
        api.emulate(tmp_path, compare=old)


def test_an_unknown_target(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="rpi9"):
        api.emulate(tmp_path, target="rpi9")
