"""Families that are not known: read as a common one, or refused with what is missing."""

import pytest

from deployopt.core.errors import UsageError
from deployopt.planning.architectures import read_architecture

SIZES: dict[str, object] = {
    "hidden_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "intermediate_size": 96,
    "vocab_size": 1000,
}
LLAMA = 2 * 64000 + 4 * (2 * 64 * 64 + 2 * 64 * 16 + 3 * 64 * 96 + 128) + 64


def test_a_class_that_generates_is_llama_like() -> None:
    found = read_architecture(
        {"model_type": "orion", "architectures": ["OrionForCausalLM"], **SIZES}
    )
    assert found.parameters == LLAMA
    assert found.generates
    assert found.stacks[0].kv_heads == 2
    assert "generic: family 'orion' counted as a Llama-like decoder" in found.basis


def test_any_other_is_bert_like() -> None:
    found = read_architecture({"model_type": "new", "architectures": ["NewModel"], **SIZES})
    assert not found.generates
    assert "a BERT-like encoder" in found.basis


def test_what_is_missing_is_named_with_the_way_out() -> None:
    with pytest.raises(UsageError, match=r"num_attention_heads, vocab_size\. Give the sizes"):
        read_architecture(
            {
                k: v
                for k, v in {"model_type": "odd", **SIZES}.items()
                if k not in {"num_attention_heads", "vocab_size"}
            }
        )


def test_an_empty_config_is_refused() -> None:
    with pytest.raises(UsageError, match="without a model_type"):
        read_architecture({})


@pytest.mark.parametrize("family", ["rwkv", "zamba2", "nemotron_h"])
def test_families_with_a_state_are_refused(family: str) -> None:
    with pytest.raises(UsageError, match="keep a state in place of keys and values"):
        read_architecture({"model_type": family, **SIZES})


def test_the_text_part_of_an_unknown_pair_is_counted_alone() -> None:
    found = read_architecture(
        {"model_type": "odd_vl", "text_config": {"model_type": "llama", **SIZES}}
    )
    assert found.parameters == LLAMA
    assert "its text model alone" in found.basis
    nested = read_architecture({"model_type": "odd", "text_config": {"model_type": "x", **SIZES}})
    assert nested.parameters == LLAMA


def test_a_hostile_family_name_stays_on_one_line() -> None:
    with pytest.raises(UsageError) as error:
        read_architecture({"model_type": "\x1b[31m\nevil" * 99})
    assert "\n" not in str(error.value)
    assert "\x1b" not in str(error.value)


def test_a_net_of_timm_is_refused_by_its_name() -> None:
    with pytest.raises(UsageError, match=r"'resnet50d' under `architecture`.*ONNX"):
        read_architecture({"model_type": "timm_wrapper", "architecture": "resnet50d"})
