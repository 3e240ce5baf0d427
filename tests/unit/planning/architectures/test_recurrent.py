"""Layers with a state: what they keep does not grow with the text."""

import pytest

from deployopt.core.errors import UsageError
from deployopt.planning.architectures import read_architecture
from deployopt.planning.memory.cache import cache_bytes


def kept(config: dict[str, object], context: int) -> float:
    return cache_bytes(read_architecture(config), batch=1, context=context, element_bytes=2)


def test_mamba_keeps_as_much_of_a_long_text_as_of_a_short_one() -> None:
    mamba: dict[str, object] = {"model_type": "mamba"}
    assert kept(mamba, 1) == kept(mamba, 100_000) == 2 * 32 * 1536 * (16 + 4)
    assert read_architecture(mamba).positions is None


def test_jamba_keeps_keys_in_one_layer_of_eight() -> None:
    jamba: dict[str, object] = {"model_type": "jamba"}
    stack = read_architecture(jamba).stacks[0]
    assert (stack.layers, stack.attending, stack.state_layers) == (32, 4, 28)
    assert kept(jamba, 1001) - kept(jamba, 1000) == 2 * 4 * 2 * 8 * 128


def test_falcon_h1_has_both_in_every_layer() -> None:
    stack = read_architecture({"model_type": "falcon_h1"}).stacks[0]
    assert stack.attending == stack.state_layers == stack.layers


def test_other_decoders_keep_keys_in_all_layers() -> None:
    stack = read_architecture({"model_type": "llama"}).stacks[0]
    assert (stack.attending, stack.state_layers) == (32, 0)


@pytest.mark.parametrize(
    "keys",
    [
        {"model_type": "granitemoehybrid", "layer_types": ["attention"]},
        {"model_type": "jamba", "num_experts": 2, "num_experts_per_tok": 3},
        {"model_type": "mamba", "time_step_rank": "half"},
    ],
)
def test_shapes_that_cannot_be_are_refused(keys: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        read_architecture(keys)
