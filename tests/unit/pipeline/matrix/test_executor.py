"""Executors by name."""

import pytest

from deployopt.core.errors import UsageError
from deployopt.pipeline.matrix.executor import EXECUTORS, executor_named
from deployopt.pipeline.matrix.inline import Inline
from deployopt.pipeline.matrix.processes import Processes


def test_each_is_made_by_its_name() -> None:
    assert isinstance(executor_named("inline", 3), Inline)
    assert isinstance(executor_named("processes", 3), Processes)
    assert set(EXECUTORS) == {"inline", "processes"}


@pytest.mark.parametrize("name", ["ray", "", "\x1b[2J"])
def test_what_is_not_there_is_said_with_what_is(name: str) -> None:
    with pytest.raises(UsageError, match="There are: processes, inline") as found:
        executor_named(name, 1)
    assert "\x1b" not in str(found.value)
