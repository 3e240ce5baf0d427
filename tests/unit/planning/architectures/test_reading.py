"""Every family against the parameter counts of the real classes and of published models."""

import json
import time
from pathlib import Path
from typing import Final

import pytest

from deployopt.core.errors import UsageError
from deployopt.planning.architectures import read_architecture
from deployopt.planning.architectures.reading import FAMILIES

HERE: Final = Path(__file__).parent
BIG: Final = {
    "model_type": "llama",
    "hidden_size": 8192,
    "num_hidden_layers": 400,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "intermediate_size": 8192,
    "layer_types": ["full_attention"] * 400,
}


def lines(name: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in (HERE / name).read_text().splitlines()]


def label(case: dict[str, object]) -> str:
    config = case["config"]
    assert isinstance(config, dict)
    return str(case.get("name") or config["architectures"][0])


PUBLISHED: Final = lines("published_counts.jsonl")
CLASSES: Final = lines("class_counts.jsonl")


@pytest.mark.parametrize("case", PUBLISHED, ids=label)
def test_published_models_have_their_published_parameters(case: dict[str, object]) -> None:
    config = case["config"]
    assert isinstance(config, dict)
    assert read_architecture(config).parameters == case["parameters"]


@pytest.mark.parametrize("case", CLASSES, ids=label)
def test_parameters_are_those_of_the_real_classes(case: dict[str, object]) -> None:
    config = case["config"]
    assert isinstance(config, dict)
    found = read_architecture(config)
    assert found.parameters == case["parameters"]
    assert found.embedding_parameters + found.head_parameters < found.parameters


def test_every_family_is_among_the_cases() -> None:
    shown = {dict(case["config"])["model_type"] for case in (*PUBLISHED, *CLASSES)}  # type: ignore[call-overload]
    # Names of families that are there.
    others = {"RefinedWeb", "RefinedWebModel", "kimi_k2", "internlm", "deepseek"}
    assert set(FAMILIES) - others == shown & set(FAMILIES)


def test_without_a_model_type_the_class_names_the_family() -> None:
    named = read_architecture({"architectures": ["Qwen2MoeForCausalLM"]})
    assert named.model_type == "qwen2_moe"
    assert read_architecture({"architectures": ["DebertaV2Model"]}).model_type == "deberta-v2"


@pytest.mark.parametrize(
    ("keys", "dtype"),
    [
        ({"torch_dtype": "bfloat16"}, "bfloat16"),
        ({"dtype": "torch.float16"}, "float16"),
        ({"text_config": {"torch_dtype": "float32"}}, "float32"),
        ({}, None),
    ],
)
def test_the_dtype_is_what_the_config_says(keys: dict[str, object], dtype: str | None) -> None:
    assert read_architecture({"model_type": "llama", **keys}).dtype == dtype


def test_quantized_weights_are_named_in_the_basis() -> None:
    packed = {"model_type": "llama", "quantization_config": {"quant_method": "awq"}}
    assert "quantized by awq" in read_architecture(packed).basis


def test_sizes_that_a_config_leaves_out_are_named() -> None:
    said = read_architecture({"model_type": "llama", "hidden_size": 2048}).basis
    assert "leaves out" in said
    assert "intermediate_size" in said
    assert "hidden_size" not in said
    nested = read_architecture({"model_type": "clip", "text_config": {"vocab_size": 9}}).basis
    assert "text_config.hidden_size" in nested
    assert "leaves out" not in read_architecture(BIG | {"vocab_size": 9}).basis


def test_four_hundred_layers_are_read_in_five_milliseconds() -> None:
    times = []
    for _ in range(5):
        start = time.process_time_ns()
        assert read_architecture(BIG).stacks[0].layers == 400
        times.append(time.process_time_ns() - start)
    assert min(times) < 5e6


@pytest.mark.parametrize("family", sorted(FAMILIES))
@pytest.mark.parametrize("value", [-1, 0, True, "x", 10**30, float("nan"), 1.5, [], {"a": {}}])
def test_impossible_values_are_refused_with_their_key(family: str, value: object) -> None:
    keys = ("hidden_size", "num_attention_heads", "vocab_size", "num_channels", "d_model", "n_embd")
    for key in keys:
        try:
            found = read_architecture({"model_type": family, key: value})
        except UsageError as error:
            said = str(error)
        else:
            assert found.parameters > 0
            continue
        assert key in said
        assert "--params 7B" in said


@pytest.mark.parametrize("config", [{"model_type": 5}, {"architectures": "x"}, {"torch_dtype": 1}])
def test_names_that_are_not_text_are_refused(config: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="is needed there"):
        read_architecture({"model_type": "llama", **config})


@pytest.mark.parametrize("family", ["llava", "unknown", "clip", "qwen2_vl"])
def test_deep_nesting_ends(family: str) -> None:
    deep: dict[str, object] = {}
    for _ in range(2000):
        deep = {"text_config": deep, "vision_config": deep}
    with pytest.raises(UsageError, match=r"at most 4 deep|not known|num_heads"):
        read_architecture({"model_type": family, **deep, "num_heads": -1})
