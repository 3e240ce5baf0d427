"""A pass through a stack: what is in it, and what is alive at once."""

from deployopt.planning.operations.counting import Pass
from deployopt.planning.operations.stacks import peak_elements, stack_operations
from tests.fakes.shapes import DECODER, ENCODER, changed


def launches(stack_layers: int, *, cross: bool) -> int:
    stack = changed(DECODER, layers=stack_layers, cross=cross)
    found = stack_operations(stack, Pass(batch=1, tokens=1, context=9, other=4))
    return sum(one.count for one in found)


def test_every_layer_starts_as_many_operators() -> None:
    assert launches(80, cross=False) == 80 * launches(1, cross=False)
    assert launches(1, cross=True) == launches(1, cross=False) + 4


def test_a_bottleneck_is_entered_and_left() -> None:
    plain = stack_operations(ENCODER, Pass(batch=1, tokens=1, context=1))
    narrow = changed(ENCODER, hidden=128, bottleneck=64)
    found = stack_operations(narrow, Pass(batch=1, tokens=1, context=1))

    def weights(operations: list) -> float:  # type: ignore[type-arg]
        return float(sum(one.weights * one.count for one in operations))

    # Three products between the widths, and values from the wide input.
    assert weights(found) - weights(plain) == 2 * (3 * 64 * 128 + 64 * 128 - 64 * 64)


def test_unfused_attention_holds_two_squares_of_scores() -> None:
    at = Pass(batch=2, tokens=300, context=300)
    assert peak_elements(ENCODER, at) == 2 * 600 * 64 + 4 * 600 * 64 + 2 * 4 * 600 * 300


def test_a_wide_feed_forward_decides_where_texts_are_short() -> None:
    at = Pass(batch=1, tokens=8, context=8)
    assert peak_elements(ENCODER, at) == 2 * 8 * 64 + 3 * 8 * 256


def test_fused_attention_holds_no_scores() -> None:
    one, two = (peak_elements(DECODER, Pass(batch=1, tokens=n, context=n)) for n in (500, 1_000))
    assert two == 2 * one
    assert one == 500 * (2 * 64 + 3 * 192)


def test_only_the_experts_that_a_token_passes_are_alive() -> None:
    sparse = changed(DECODER, experts=64, experts_used=2, expert_ffn=90, shared_ffn=30, ffn=5_000)
    at = Pass(batch=1, tokens=10, context=10)
    assert peak_elements(sparse, at) == 10 * (2 * 64 + 3 * 210)
