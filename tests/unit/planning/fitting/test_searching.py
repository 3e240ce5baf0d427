"""The largest number at which something holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployopt.planning.fitting.searching import largest


@given(edge=st.integers(1, 10_000), limit=st.integers(1, 10_000))
def test_the_edge_or_the_limit_is_found(edge: int, limit: int) -> None:
    assert largest(lambda number: number <= edge, limit) == min(edge, limit)


@pytest.mark.parametrize("limit", [0, 1, 100])
def test_nothing_is_found_where_not_even_one_holds(limit: int) -> None:
    assert largest(lambda _: False, limit) is None


def test_few_questions_are_asked() -> None:
    asked: list[int] = []

    def holds(number: int) -> bool:
        asked.append(number)
        return number <= 777

    assert largest(holds, 1 << 20) == 777
    assert len(asked) < 25
