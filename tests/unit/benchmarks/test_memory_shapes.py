"""Names of models, as people write them."""

import pytest

from benchmarks.memory_shapes import find_shape, plain_name


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("meta-llama/Llama-2-7b-chat-hf", "llama-2-7b"),
        ("llama2_7B", "llama-2-7b"),
        ("qwen-1_8b-chat", "qwen-1.8b"),
        ("phi-1_5", "phi-1.5"),
        ("Phi-3-mini-4k-instruct", "phi-3-mini-4k"),
        ("Meta-Llama-3.1-8B-Instruct", "llama-3.1-8b"),
        ("llama3-70b", "llama-3-70b"),
        ("mistralai/Mistral-7B-Instruct-v0.2", "mistral-7b"),
        ("google/gemma-2-9b-it", "gemma-2-9b"),
        ("phi1.5", "phi-1.5"),
        ("Qwen/Qwen2.5-7B-Instruct-GPTQ-Int4", "qwen2.5-7b"),
        ("bert-base-uncased", "bert"),
    ],
)
def test_one_name_of_many(written: str, plain: str) -> None:
    assert plain_name(written) == plain


@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("phi-1.5", 1.418), ("stablelm-alpha-3b", 3.638), ("llama2-7b", 6.738),
        ("llama2-13b", 13.016), ("codellama-34b", 33.744), ("llama2-70b", 68.98),
        ("llama3-70b", 70.55), ("llama3.1-8b", 8.03), ("mistral-7b", 7.24),
        ("mixtral-8x7b", 46.7), ("qwen-1.8b", 1.837), ("qwen-7b", 7.721), ("qwen-14b", 14.167),
        ("qwen-72b", 72.3), ("qwen2.5-0.5b", 0.494), ("qwen2.5-32b", 32.76),
        ("qwen2.5-72b", 72.7), ("qwen3-8b", 8.19), ("gemma-7b", 8.54), ("gemma-2-9b", 9.24),
        ("gemma-2-27b", 27.2), ("falcon-7b", 6.92), ("falcon-40b", 41.3), ("gpt-j-6b", 6.05),
        ("gpt-neox-20b", 20.55), ("gpt2-xl", 1.56), ("opt-6.7b", 6.66), ("opt-350m", 0.331),
        ("bloom-7b1", 7.07), ("bloom-176b", 176.2), ("pythia-12b", 11.85), ("mpt-7b", 6.65),
        ("yi-34b", 34.4), ("phi-2", 2.78), ("phi-4", 14.66), ("deepseek-v2-lite", 15.7),
        ("llama-65b", 65.3), ("tinyllama-1.1b", 1.1), ("bert-base", 0.1095),
        ("bert-large", 0.335), ("t5-large", 0.738), ("llama3.1-405b", 405.9),
        ("tiny-llama", 1.1), ("phi-3-mini-4k-instruct", 3.821), ("phi3-mini", 3.821),
        ("chatglm2-6b", 6.24), ("chatglm3-6b", 6.244), ("glm-4-9b-chat", 9.4),
        ("baichuan2-7b-chat", 7.506), ("baichuan2-13b-chat", 13.897), ("internlm2-7b", 7.74),
        ("internlm2-20b", 19.86), ("qwen2-57b-a14b", 57.4), ("qwen1.5-moe-a2.7b", 14.3),
        ("qwen1.5-32b", 32.5), ("bigscience/T0_3B", 2.85), ("t0pp", 11.1), ("mt0-xxl", 12.9),
        ("mt5-xl", 3.74), ("internlm-7b", 7.3), ("baichuan-7b", 7.0), ("baichuan-13b", 13.2),
        ("mixtral-8x22b", 140.6), ("mistral-nemo", 12.25), ("qwen1.5-4b", 3.95),
    ],
)  # fmt: skip
def test_known_models_have_their_published_size(name: str, billions: float) -> None:
    shape = find_shape(name, billions)
    assert shape.how == "by name"
    assert shape.architecture is not None
    assert shape.architecture.parameters / 1e9 == pytest.approx(billions, rel=0.02)


def test_an_unknown_model_has_the_usual_shape() -> None:
    shape = find_shape("unheard-of", 13.0)
    assert shape.how == "the usual shape at that size"
    assert shape.architecture is not None
    assert shape.architecture.generates
    assert shape.architecture.parameters == pytest.approx(13e9, rel=0.05)


def test_a_name_with_another_size_is_not_believed() -> None:
    assert find_shape("llama2-7b", 13.0).how == "the usual shape at that size"


def test_an_unknown_encoder_does_not_generate() -> None:
    shape = find_shape("my-bert", 0.2).architecture
    assert shape is not None
    assert not shape.generates


def test_images_are_made_by_several_models() -> None:
    shape = find_shape("FLUX.1-dev", 11.9)
    assert shape.pipeline is not None
    assert shape.pipeline.others > 4e9


def test_nothing_can_be_said_without_a_size() -> None:
    with pytest.raises(ValueError, match="params_b is empty"):
        find_shape("unheard-of", None)
