"""The table of published shapes agrees with the arithmetic, and is walked in order."""

import pytest

from deployopt.planning.architectures import read_architecture
from deployopt.planning.architectures.usual import DECODERS, ENCODERS, Shape, nearest, usual_layers


@pytest.mark.parametrize("shape", [*DECODERS, *ENCODERS], ids=lambda shape: shape.name)
def test_each_shape_has_its_parameters(shape: Shape) -> None:
    family = "bert" if not shape.gated else "qwen2" if "Qwen" in shape.name else "llama"
    if shape.name == "DistilBERT":
        family = "distilbert"
    found = read_architecture(
        {
            "model_type": family,
            "hidden_size": shape.hidden,
            "num_hidden_layers": shape.layers,
            "num_attention_heads": shape.heads,
            "num_key_value_heads": shape.kv_heads,
            "intermediate_size": shape.ffn,
            "vocab_size": shape.vocabulary,
            "tie_word_embeddings": shape.tied,
        }
    )
    assert found.parameters == shape.parameters


def test_the_tables_are_sorted() -> None:
    for table in (DECODERS, ENCODERS):
        sizes = [shape.parameters for shape in table]
        assert sizes == sorted(sizes)


def test_the_nearest_is_by_ratio() -> None:
    assert nearest(7_000_000_000, encoder=False).name == "Mistral 7B"
    assert nearest(100_000_000, encoder=True).name == "BERT base"
    assert nearest(10**13, encoder=False).name == "Llama 3.1 405B"


def test_layers_lie_between_the_neighbours() -> None:
    assert usual_layers(50_000_000_000, encoder=False) in range(64, 81)
    assert usual_layers(10**13, encoder=False) == 126
    assert usual_layers(1_000, encoder=True) == 2
