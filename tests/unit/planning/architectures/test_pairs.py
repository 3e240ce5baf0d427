"""Encoder-decoder models: two stacks, one of which generates and looks back at the other."""

import pytest

from deployopt.planning.architectures import read_architecture


@pytest.mark.parametrize("family", ["t5", "bart", "marian", "m2m_100", "pegasus", "whisper"])
def test_the_second_stack_generates_and_crosses(family: str) -> None:
    first, second = read_architecture({"model_type": family}).stacks
    assert not first.causal
    assert second.causal
    assert second.cross


def test_t5_heads_have_their_own_width() -> None:
    first, second = read_architecture(
        {"model_type": "t5", "d_model": 512, "num_heads": 6, "num_decoder_layers": 3}
    ).stacks
    assert (first.head_dim, first.heads, first.rms, first.gated) == (64, 6, True, False)
    assert (first.layers, second.layers) == (6, 3)


def test_an_encoders_class_leaves_the_decoder_out() -> None:
    found = read_architecture({"model_type": "t5", "architectures": ["T5EncoderModel"]})
    assert [stack.name for stack in found.stacks] == ["encoder"]
    assert not found.generates


def test_flan_has_a_head_of_its_own() -> None:
    flan = {"model_type": "t5", "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}
    found = read_architecture(flan)
    assert found.head_parameters == 32128 * 512
    assert found.stacks[0].gated


def test_whisper_hears_1500_frames() -> None:
    found = read_architecture({"model_type": "whisper"})
    assert (found.stacks[0].name, found.stacks[0].tokens) == ("audio", 1500)
    assert sum(o.macs * o.count for o in found.operations) == 3 * 384 * (3000 * 80 + 1500 * 384)
