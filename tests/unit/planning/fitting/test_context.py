"""Tokens that are counted with, and what is warned of."""

import msgspec
import pytest

from deployopt.core.fit import Fit
from deployopt.core.request import FitRequest
from deployopt.planning.fitting import fit_inference
from deployopt.planning.fitting.context import over_the_limit, within_positions
from deployopt.planning.targets import load_target
from tests.fakes.transformers_shapes import decoder, encoder, llama


def fit(target: str, **options: object) -> Fit:
    plain = FitRequest(model="x", target=load_target(target))
    return fit_inference(msgspec.structs.replace(plain, **options), "x", llama())


@pytest.mark.parametrize(
    ("learned", "asked", "counted"),
    [(True, 1000, 64), (False, 1000, 1000), (True, 10, 10), (False, None, 64), (True, None, 64)],
)
def test_only_a_table_of_positions_ends(learned: bool, asked: int | None, counted: int) -> None:  # noqa: FBT001 -- a column
    assert within_positions(asked, decoder(learned_positions=learned)) == counted


def test_nothing_is_said_within_the_positions_or_of_images() -> None:
    assert over_the_limit(64, decoder()) == over_the_limit(None, decoder()) == ()
    assert over_the_limit(1000, msgspec.structs.replace(encoder(), positions=4)) == ()


def test_an_older_transformers_is_warned_of_where_its_scores_may_not_fit() -> None:
    (warning,) = fit("rtx3060", context=2900).warnings
    assert warning.startswith("Transformers before 4.45 scores every token of a prompt: ")
    assert "more at 2,900 tokens" in warning
    assert "int8 may not fit" in warning
    assert fit("rtx3060", context=512).warnings == ()
    assert fit("a100", context=2900).warnings == ()


def test_a_board_does_not_run_transformers() -> None:
    assert fit("rpi4-8gb", context=2900).warnings == ()
