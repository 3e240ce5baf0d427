"""What a forward pass holds, by hand."""

import msgspec

from deployopt.planning.memory.passing import (
    ffn_width,
    graph_elements,
    logit_bytes,
    prompt_bytes,
)
from tests.fakes.transformers_shapes import decoder, encoder


def test_a_prompt_holds_residuals_and_the_feed_forward() -> None:
    assert prompt_bytes(decoder(), batch=2, prompt=5, element_bytes=2) == 2 * 5 * (32 + 48) * 2


def test_experts_widen_a_token_by_those_it_uses() -> None:
    stack = msgspec.structs.replace(
        decoder().stacks[0], experts=8, experts_used=2, expert_ffn=10, shared_ffn=4
    )
    assert ffn_width(stack) == 24


def test_only_the_last_position_is_scored() -> None:
    assert logit_bytes(decoder(), 3) == 3 * 100 * 6
    assert logit_bytes(encoder(), 3) == 0


def test_a_graph_writes_its_scores_out() -> None:
    wide = 2 * 4 * 8 + max(4 * (4 * 8 + 2 * 2 * 4), 3 * 4 * 32)
    assert graph_elements(encoder(), batch=2, tokens=99) == 2 * wide
