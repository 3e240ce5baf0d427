"""What a comparison returns to a script."""

import pytest

from deployopt.core.codec import decode_json, encode_json
from deployopt.core.comparison import Comparison, FailOn
from deployopt.core.verdict import Outcome
from tests.fakes.comparing import comparison


@pytest.mark.parametrize(
    ("outcome", "strict", "lenient"),
    [(Outcome.ACCEPTED, 0, 0), (Outcome.REJECTED, 1, 1), (Outcome.UNDECIDED, 3, 0)],
)
def test_exit_codes(outcome: Outcome, strict: int, lenient: int) -> None:
    found = comparison(outcome)
    assert found.exit_code() == strict
    assert found.exit_code(FailOn.REGRESSION) == lenient


@pytest.mark.parametrize("outcome", list(Outcome))
def test_it_survives_its_json(outcome: Outcome) -> None:
    found = comparison(outcome)
    assert decode_json(encode_json(found), Comparison, where="comparison") == found
