"""Keys and values, by hand."""

import msgspec

from deployopt.core.architecture import Stack
from deployopt.planning.memory.cache import cache_bytes
from tests.fakes.transformers_shapes import decoder, llama


def test_two_times_heads_times_width_times_layers() -> None:
    assert cache_bytes(decoder(), batch=3, context=10, element_bytes=2) == 2 * 8 * 10 * 3 * 2


def test_llama_2_keeps_half_a_megabyte_a_token() -> None:
    assert cache_bytes(llama(), batch=1, context=1, element_bytes=2) == 524_288


def test_a_window_bounds_its_layers() -> None:
    stack = msgspec.structs.replace(decoder().stacks[0], window=4, window_layers=1)
    found = cache_bytes(decoder(stacks=(stack,)), batch=1, context=10, element_bytes=1)
    assert found == 8 * (10 + 4)


def test_a_latent_is_kept_instead() -> None:
    stack = msgspec.structs.replace(decoder().stacks[0], kv_elements=3)
    assert cache_bytes(decoder(stacks=(stack,)), batch=1, context=10, element_bytes=1) == 60


def test_a_decoder_keeps_what_it_sees_of_its_encoder() -> None:
    sound = Stack(
        name="audio", layers=1, hidden=8, heads=2, kv_heads=2, head_dim=4, ffn=32, tokens=30
    )
    text = msgspec.structs.replace(decoder().stacks[0], cross=True)
    found = cache_bytes(decoder(stacks=(sound, text)), batch=1, context=10, element_bytes=1)
    assert found == 2 * 8 * (10 + 30)
