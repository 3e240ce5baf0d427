"""Dense and gated feed-forwards, and mixtures of experts against counting them."""

import random

import pytest

from deployopt.core.plan import Operation
from deployopt.planning.operations.counting import Pass
from deployopt.planning.operations.feed_forward import experts_met, feed_forward
from tests.fakes.shapes import DECODER, ENCODER, changed

EXPERTS = changed(DECODER, experts=8, experts_used=2, expert_ffn=96, ffn=0)


def total(operations: list[Operation], what: str) -> float:
    return float(sum(getattr(one, what) * one.count for one in operations))


def test_a_gated_feed_forward_has_three_matrices() -> None:
    at = Pass(batch=1, tokens=1, context=1)
    assert total(feed_forward(ENCODER, at), "weights") == 2 * 2 * 64 * 256
    assert total(feed_forward(DECODER, at), "weights") == 3 * 3 * 64 * 192


def test_several_feed_forwards_a_layer() -> None:
    at = Pass(batch=1, tokens=1, context=1)
    four = changed(ENCODER, feed_forwards=4)
    assert total(feed_forward(four, at), "weights") == 4 * 2 * 2 * 64 * 256


@pytest.mark.parametrize(("experts", "used", "rows"), [(8, 2, 1), (8, 2, 5), (64, 6, 16)])
def test_experts_met_by_drawing_them(experts: int, used: int, rows: int) -> None:
    rng = random.Random(0)  # noqa: S311 -- a simulation
    drawn = [
        len({one for _ in range(rows) for one in rng.sample(range(experts), used)})
        for _ in range(4_000)
    ]
    stack = changed(EXPERTS, experts=experts, experts_used=used)
    assert experts_met(stack, rows) == pytest.approx(sum(drawn) / len(drawn), rel=0.02)


def test_experts_met_at_the_ends() -> None:
    assert experts_met(EXPERTS, 1) == 2
    assert experts_met(EXPERTS, 10_000) == pytest.approx(8)
    assert experts_met(changed(EXPERTS, experts_used=8), 1) == 8


def test_a_token_passes_its_experts_and_the_router() -> None:
    found = feed_forward(EXPERTS, Pass(batch=1, tokens=1, context=1))
    one_layer = 64 * 8 + 2 * 3 * 64 * 96
    assert total(found, "macs") == 3 * one_layer
    assert total(found, "weights") == 3 * one_layer


def test_more_tokens_read_more_experts_but_never_more_than_there_are() -> None:
    every = 3 * (64 * 8 + 8 * 3 * 64 * 96)
    read = [
        total(feed_forward(EXPERTS, Pass(batch=b, tokens=1, context=1)), "weights")
        for b in (1, 2, 4, 1_000)
    ]
    assert read == sorted(read)
    assert read[-1] == pytest.approx(every)


def test_shared_experts_and_dense_layers_are_counted_besides() -> None:
    stack = changed(EXPERTS, shared_ffn=50, dense_layers=1, ffn=192)
    found = feed_forward(stack, Pass(batch=1, tokens=1, context=1))
    sparse = 64 * 8 + 2 * 3 * 64 * 96 + 3 * 64 * 50
    assert total(found, "macs") == 2 * sparse + 3 * 64 * 192
