"""Stacks, lengths and heads of text encoders."""

import pytest

from deployopt.planning.architectures import read_architecture


def classifier(model_type: str, name: str, **keys: object) -> dict[str, object]:
    return {"model_type": model_type, "architectures": [f"{name}ForSequenceClassification"], **keys}


def test_a_classifier_has_its_labels_and_its_head_as_operators() -> None:
    found = read_architecture(classifier("bert", "Bert", id2label={"0": "a", "1": "b", "2": "c"}))
    assert found.labels == 3
    assert [(o.kind, o.macs) for o in found.operations] == [
        ("gemm", 768 * 768),
        ("gemm", 768 * 3),
    ]


def test_heads_of_every_token_are_parameters_alone() -> None:
    found = read_architecture({"model_type": "bert", "architectures": ["BertForMaskedLM"]})
    assert found.tied
    assert found.operations == ()
    assert found.parameters == 109_514_298


@pytest.mark.parametrize(
    ("model_type", "keys", "positions"),
    [
        ("bert", {}, 512),
        ("roberta", {"max_position_embeddings": 514}, 512),
        ("mpnet", {"max_position_embeddings": 514}, 512),
        ("modernbert", {}, 8192),
    ],
)
def test_the_longest_text(model_type: str, keys: dict[str, object], positions: int) -> None:
    assert read_architecture({"model_type": model_type, **keys}).positions == positions


def test_albert_runs_twelve_layers_of_one() -> None:
    base = {"hidden_size": 768, "num_attention_heads": 12}
    found = read_architecture({"model_type": "albert", **base})
    assert found.stacks[0].layers == 12
    assert found.stacks[0].shared_weights
    assert found.embedding_width == 128


def test_mobilebert_narrows_inside_its_layers() -> None:
    found = read_architecture({"model_type": "mobilebert"})
    stack = found.stacks[0]
    assert (stack.hidden, stack.bottleneck, stack.head_dim) == (512, 128, 32)
    assert stack.feed_forwards == 4
    assert found.embedding_width == 3 * 128


def test_modernbert_looks_at_windows_in_two_of_three_layers() -> None:
    stack = read_architecture({"model_type": "modernbert"}).stacks[0]
    assert (stack.window, stack.window_layers, stack.layers, stack.gated) == (128, 14, 22, True)
