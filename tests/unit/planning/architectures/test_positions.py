"""Which families have tables of positions, which nothing goes beyond."""

import pytest

from deployopt.catalogue.models import find_entry
from deployopt.planning.architectures import read_architecture
from deployopt.planning.entries import architecture_of


@pytest.mark.parametrize("alias", ["bert-base", "distilbert", "roberta-base", "mobilebert"])
def test_bert_s_line_has_a_table(alias: str) -> None:
    shape = architecture_of(find_entry(alias))
    assert shape.longest == shape.positions == 512


@pytest.mark.parametrize(
    ("alias", "longest"), [("bart-large-cnn", 1024), ("whisper-base", 448), ("clip-vit-b-32", 77)]
)
def test_so_have_pairs_and_towers(alias: str, longest: int) -> None:
    assert architecture_of(find_entry(alias)).longest == longest


@pytest.mark.parametrize(
    ("config", "longest"),
    [
        ({"model_type": "gpt2"}, 1024),
        ({"model_type": "opt"}, 2048),
        ({"model_type": "modernbert"}, None),
        ({"model_type": "falcon", "hidden_size": 4544, "num_hidden_layers": 32}, None),
    ],
)
def test_of_decoders_the_early_ones(config: dict[str, object], longest: int | None) -> None:
    assert read_architecture(config).longest == longest


@pytest.mark.parametrize("alias", ["llama-2-7b", "llama-3.2-1b"])
def test_rotary_positions_have_none(alias: str) -> None:
    shape = architecture_of(find_entry(alias))
    assert shape.positions is not None
    assert shape.longest is None
