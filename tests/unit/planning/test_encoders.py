"""The closed forms against the parameter counts of the real classes, and against plain sums."""

import pytest

from deployopt.core.plan import Facts
from deployopt.core.workload import Workload
from deployopt.planning.encoders import facts_from_config

FIXED = Workload(length=128)
MINILM = {
    "model_type": "bert",
    "hidden_size": 384,
    "num_hidden_layers": 6,
    "intermediate_size": 1536,
    "num_attention_heads": 12,
}


def facts(
    config: dict[str, object], workload: Workload = FIXED, length: int | None = None
) -> Facts:
    found = facts_from_config(config, workload, length)
    assert found is not None
    return found


def macs(of: Facts) -> float:
    return sum(operation.macs * operation.count for operation in of.operations)


@pytest.mark.parametrize(
    ("config", "parameters"),
    [
        ({"model_type": "distilbert"}, 66_955_010),
        ({"model_type": "bert"}, 109_483_778),
        (MINILM, 22_713_986),
        (
            {
                "model_type": "roberta",
                "vocab_size": 50265,
                "max_position_embeddings": 514,
                "type_vocab_size": 1,
            },
            124_647_170,
        ),
        ({"model_type": "electra"}, 13_549_314),
        ({"model_type": "mobilebert"}, 24_845_570),
        ({"model_type": "mobilebert", "classifier_activation": False}, 24_582_914),
        ({"model_type": "vit", "num_labels": 1000}, 86_567_656),
    ],
)
def test_parameters_are_those_of_the_real_classes(
    config: dict[str, object], parameters: int
) -> None:
    found = facts(config)
    assert found.parameters == parameters
    assert found.weight_bytes == 4 * parameters


def test_labels_come_from_the_config() -> None:
    three = facts({"model_type": "distilbert", "id2label": {"0": "a", "1": "b", "2": "c"}})
    assert three.parameters == 66_955_010 + 769


def test_the_linear_layers_of_distilbert_at_128_tokens() -> None:
    linear = 6 * 128 * (4 * 768 * 768 + 2 * 768 * 3072)
    attention = 6 * 2 * 128 * 128 * 768
    heads = 768 * 768 + 768 * 2
    assert macs(facts({"model_type": "distilbert"})) == linear + attention + heads
    assert 2 * linear == pytest.approx(10.9e9, rel=0.01)


def test_vit_base_has_its_published_cost() -> None:
    assert macs(facts({"model_type": "vit"})) == pytest.approx(17.5e9, rel=0.02)


@pytest.mark.parametrize(
    ("workload", "length", "counted"),
    [
        (Workload(length=64), 30, 64),
        (Workload(), 30, 30),
        (Workload(), None, 128),
        (Workload(length=4096), None, 512),
    ],
)
def test_the_length_that_is_counted(workload: Workload, length: int | None, counted: int) -> None:
    found = facts({"model_type": "distilbert"}, workload, length)
    assert found.length == counted
    assert f"{counted} tokens" in found.basis


def test_a_batch_multiplies_work_and_activations_but_not_weights() -> None:
    one, four = facts(MINILM), facts(MINILM, Workload(length=128, batch=4))
    assert macs(four) == 4 * macs(one)
    assert four.peak_activation_bytes == 4 * one.peak_activation_bytes
    assert [o.weights for o in four.operations] == [o.weights for o in one.operations]


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"model_type": "resnet"},
        {"model_type": ["bert"]},
        {"model_type": "bert", "hidden_size": "768"},
        {"model_type": "bert", "hidden_size": -1},
        {"model_type": "bert", "hidden_size": 10**12},
        {"model_type": "bert", "num_attention_heads": 0},
        {"model_type": "bert", "num_hidden_layers": True},
        {"model_type": "vit", "patch_size": 0},
    ],
)
def test_what_is_not_known_is_left_to_the_graph(config: dict[str, object]) -> None:
    assert facts_from_config(config, FIXED) is None
