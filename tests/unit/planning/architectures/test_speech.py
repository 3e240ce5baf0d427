"""Speech encoders: frames, convolutions and heads."""

import pytest

from deployopt.core.errors import UsageError
from deployopt.planning.architectures import read_architecture


def test_ten_seconds_are_499_frames() -> None:
    found = read_architecture({"model_type": "wav2vec2", "architectures": ["Wav2Vec2ForCTC"]})
    assert found.stacks[0].tokens == 499
    assert "10 s of sound" in found.basis
    assert [o.kind for o in found.operations] == ["conv"] * 7 + ["gemm"]
    assert found.operations[0].macs == 512 * 10 * 31999


def test_moonshine_writes() -> None:
    found = read_architecture({"model_type": "moonshine"})
    assert [stack.name for stack in found.stacks] == ["audio", "decoder"]
    assert found.generates
    assert found.stacks[1].cross


@pytest.mark.parametrize(
    "keys",
    [
        {"model_type": "wav2vec2", "add_adapter": True},
        {"model_type": "wav2vec2", "conv_dim": [512]},
        {"model_type": "hubert", "num_conv_pos_embedding_groups": 7},
        {"model_type": "wavlm", "architectures": ["WavLMForPreTraining"]},
    ],
)
def test_what_is_not_counted_is_refused(keys: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        read_architecture(keys)
