"""Ways of running that a table may tell of."""

import pytest

from deployopt.planning.memory.serving import Serving, serving_parts
from tests.fakes.transformers_shapes import decoder


def bytes_of(serving: Serving) -> dict[str, float]:
    return {part.name: part.bytes for part in serving_parts(decoder(), serving)}


def test_a_copied_cache_is_reserved_twice() -> None:
    found = bytes_of(Serving(bits=16, context=10, concatenated=True))
    assert found["reserve"] == found["KV cache"] == 320


def test_a_generated_context_has_a_short_prompt() -> None:
    long, short = (Serving(bits=16, context=10, prompt=p) for p in (None, 1))
    assert bytes_of(long)["activations"] == 10 * bytes_of(short)["activations"]
    assert bytes_of(long)["KV cache"] == bytes_of(short)["KV cache"]


def test_a_quantized_matrix_is_turned_back_one_at_a_time() -> None:
    assert bytes_of(Serving(bits=4.5, context=1))["dequantized"] == 2 * 128


def test_a_quantized_head_is_turned_back_whole() -> None:
    found = bytes_of(Serving(bits=4.5, context=1, head_quantized=True))
    assert found["weights"] == pytest.approx((2752 - 800) * 4.5 / 8)
    assert (found["embeddings and head"], found["dequantized"]) == (1600, 3200)


def test_an_older_transformers_scores_the_whole_prompt() -> None:
    last, all_of_them = (Serving(bits=16, batch=2, context=10, scored=s) for s in (False, True))
    assert bytes_of(last)["logits"] == 2 * 100 * 6
    assert bytes_of(all_of_them)["logits"] == 10 * 2 * 100 * 6
