"""What may be asked of a model's way of choosing tokens."""

import math

import pytest

from deployopt.core.errors import UsageError
from deployopt.core.generation import Sampling


def test_the_bounds_themselves_are_possible() -> None:
    given = Sampling(temperature=0, top_k=0, top_p=1.0, repetition_penalty=10, seed=0, max_tokens=1)
    assert given.says_something
    assert not Sampling().says_something


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("temperature", -0.1, "temperature -0.1 is not possible: it is from 0 to 10"),
        ("temperature", math.nan, "temperature nan"),
        ("temperature", math.inf, "temperature inf"),
        ("top_k", -1, "top k -1"),
        ("top_p", 0.0, "top p 0 is not possible: it is above 0 and at most 1"),
        ("top_p", 1.1, "top p 1.1"),
        ("repetition_penalty", 0.0, "repetition penalty 0"),
        ("seed", -1, "seed -1"),
        ("seed", 2**31, "seed 2,147,483,648 is not possible: it is from 0 to 2,147,483,647"),
        ("max_tokens", 0, "max tokens 0 is not possible: it is from 1 to"),
    ],
)
def test_what_is_beyond_them_is_refused(name: str, value: float, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Sampling(**{name: value})  # type: ignore[arg-type] # the table's numbers are of two kinds
