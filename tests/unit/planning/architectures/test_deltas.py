"""Hybrids of attention and linear attention: which layers attend, by list and by rule."""

import pytest

from deployopt.core.errors import UsageError
from deployopt.planning.architectures import read_architecture


@pytest.mark.parametrize(
    ("keys", "attending"),
    [
        ({"model_type": "qwen3_next"}, 12),
        ({"model_type": "qwen3_next", "full_attention_interval": 8}, 6),
        ({"model_type": "qwen3_5_text"}, 8),
        ({"model_type": "lfm2", "full_attn_idxs": [2, 5, 8]}, 3),
        ({"model_type": "recurrent_gemma"}, 8),
        ({"model_type": "minimax"}, 16),
        ({"model_type": "minimax", "attn_type_list": [0, 0, 0, 1] * 8}, 8),
    ],
)
def test_how_many_layers_attend(keys: dict[str, object], attending: int) -> None:
    stack = read_architecture(keys).stacks[0]
    assert stack.attending == attending
    assert stack.state_layers == stack.layers - attending


def test_a_list_of_another_length_is_refused() -> None:
    with pytest.raises(UsageError, match="attn_type_list"):
        read_architecture({"model_type": "minimax", "attn_type_list": [0, 1]})


def test_griffin_looks_back_on_a_window_where_it_attends() -> None:
    stack = read_architecture({"model_type": "recurrent_gemma"}).stacks[0]
    assert (stack.window, stack.window_layers) == (2048, 8)
