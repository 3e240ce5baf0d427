"""Attention against sums over every position, and against plain products."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployopt.core.architecture import Stack
from deployopt.core.plan import Operation
from deployopt.planning.operations.attention import (
    cross_attention,
    eager,
    fused,
    keys_seen,
    layers_by_window,
    self_attention,
)
from deployopt.planning.operations.counting import Pass
from tests.fakes.shapes import DECODER, ENCODER, changed


def total(operations: list[Operation], what: str) -> float:
    return float(sum(getattr(one, what) * one.count for one in operations))


@given(
    tokens=st.integers(1, 60),
    earlier=st.integers(0, 60),
    window=st.one_of(st.none(), st.integers(1, 50)),
)
def test_keys_are_those_that_each_position_sees(
    tokens: int, earlier: int, window: int | None
) -> None:
    at = Pass(batch=1, tokens=tokens, context=tokens + earlier)
    by_hand = sum(
        min(position, window or position) for position in range(earlier + 1, earlier + tokens + 1)
    )
    assert keys_seen(at, window) == by_hand


def test_one_more_token_sees_its_context_or_its_window() -> None:
    assert keys_seen(Pass(batch=1, tokens=1, context=5_000), None) == 5_000
    assert keys_seen(Pass(batch=1, tokens=1, context=5_000), 1_024) == 1_024
    assert keys_seen(Pass(batch=1, tokens=1, context=100), 1_024) == 100


def test_grouped_queries_have_smaller_keys_and_values() -> None:
    at = Pass(batch=1, tokens=1, context=1)
    weights = total(self_attention(DECODER, at), "weights")
    # q and o are 64 x 64, k and v 64 x 16.
    assert weights == 3 * (2 * 64 * 64 + 2 * 64 * 16)


def test_heads_may_be_wider_than_the_hidden_size() -> None:
    wide = changed(DECODER, head_dim=32, kv_heads=8)
    weights = total(self_attention(wide, Pass(batch=1, tokens=1, context=1)), "weights")
    assert weights == 3 * 4 * 64 * 256


def test_the_cache_is_read_as_activations() -> None:
    short, long = (
        total([fused(DECODER, Pass(batch=2, tokens=1, context=c), 3, None)], "activations")
        for c in (100, 1_100)
    )
    assert long - short == 3 * 2 * 1_000 * DECODER.kept


def test_a_window_bounds_what_is_read() -> None:
    near = fused(DECODER, Pass(batch=1, tokens=1, context=9_000), 1, 512)
    same = fused(DECODER, Pass(batch=1, tokens=1, context=512), 1, None)
    assert near == same


def test_a_latent_cache_is_read_as_it_is_kept() -> None:
    latent = changed(DECODER, kv_elements=24, rope_dim=4, value_dim=6)
    once = fused(latent, Pass(batch=1, tokens=1, context=100), 1, None)
    assert once.activations == 8 * (8 + 6) + 100 * 24
    assert once.macs == 100 * 8 * (24 + 20)
    first = fused(latent, Pass(batch=1, tokens=100, context=100), 1, None)
    assert first.macs == 5_050 * 8 * (8 + 6)


def test_latent_attention_goes_through_its_narrow_widths() -> None:
    latent = changed(DECODER, kv_elements=24, rope_dim=4, value_dim=6, query_latent=10)
    weights = total(self_attention(latent, Pass(batch=1, tokens=1, context=1)), "weights")
    queries, output = 64 * 10 + 10 * 64, 48 * 64
    assert weights == 3 * (queries + 64 * 24 + 20 * 8 * (4 + 6) + output)


def test_distances_are_compared_in_two_more_products() -> None:
    at = Pass(batch=2, tokens=10, context=10)
    plain, related = (
        total(self_attention(stack, at), "macs")
        for stack in (ENCODER, changed(ENCODER, relative=32))
    )
    assert related - plain == 2 * 2 * 20 * 32 * 64


@pytest.mark.parametrize(
    ("stack", "expected"),
    [
        (DECODER, ((3, None),)),
        (changed(DECODER, window=16, window_layers=2), ((1, None), (2, 16))),
        (changed(DECODER, window=16, window_layers=3), ((3, 16),)),
        (changed(DECODER, window=16, window_layers=9), ((3, 16),)),
        (changed(DECODER, window=None, window_layers=2), ((3, None),)),
    ],
)
def test_layers_are_sorted_by_how_far_they_look(
    stack: Stack, expected: tuple[tuple[int, int | None], ...]
) -> None:
    assert layers_by_window(stack) == expected


def test_scores_are_written_where_attention_is_not_fused() -> None:
    at = Pass(batch=2, tokens=10, context=10)
    product, softmax = eager(ENCODER, at, 2, None)
    scores = 2 * 4 * 10 * 10
    assert (product.macs, product.activations, product.count) == (12_800, 2 * 20 * 64 + scores, 4)
    assert (softmax.activations, softmax.count) == (4 * scores, 2)


def test_a_window_saves_nothing_where_the_whole_square_is_written() -> None:
    at = Pass(batch=1, tokens=100, context=100)
    local = changed(ENCODER, window=20, window_layers=2)
    assert self_attention(local, at) == self_attention(ENCODER, at)


def test_the_windows_of_patches_are_squares_of_their_own() -> None:
    at = Pass(batch=1, tokens=64, context=64)
    shifted = changed(ENCODER, name="vision", tokens=64, window=16, window_layers=2)
    product, softmax = self_attention(shifted, at)[-2:]
    assert product.macs == 64 * 16 * 64
    assert softmax.activations == 4 * 4 * 64 * 16


def test_keys_across_are_made_once_a_request() -> None:
    crossing = changed(DECODER, cross=True)
    first = cross_attention(crossing, Pass(batch=1, tokens=1, context=1, other=50))
    later = cross_attention(crossing, Pass(batch=1, tokens=1, context=2, other=50))
    assert total(first, "weights") == 3 * (2 * 64 * 64 + 2 * 64 * 16)
    assert total(later, "weights") == 3 * 2 * 64 * 64
    assert total(first, "macs") - total(later, "macs") == 3 * 50 * 2 * 64 * 16


def test_a_bottleneck_takes_its_values_from_the_wide_input() -> None:
    narrow = changed(ENCODER, hidden=512, bottleneck=64)
    weights = total(self_attention(narrow, Pass(batch=1, tokens=1, context=1)), "weights")
    assert weights == 2 * (3 * 64 * 64 + 512 * 64)
