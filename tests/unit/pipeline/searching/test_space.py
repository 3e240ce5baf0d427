"""Shapes: what is thought of for a config, and which layers stay."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployopt.core.search import Effort, Profile
from deployopt.pipeline.searching.space import kept_layers, profiles

BERT = {
    "model_type": "bert",
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
}
VIT = BERT | {"model_type": "vit"}


@given(st.integers(1, 48).flatmap(lambda total: st.tuples(st.just(total), st.integers(1, total))))
def test_the_first_and_the_last_stay_and_the_rest_is_spread(sizes: tuple[int, int]) -> None:
    total, kept = sizes
    layers = kept_layers(total, kept)
    assert len(layers) == kept
    assert list(layers) == sorted(set(layers))
    assert layers[0] == 0
    assert kept == 1 or layers[-1] == total - 1
    gaps = [b - a for a, b in pairwise(layers)]
    assert not gaps or max(gaps) - min(gaps) <= 1


def test_an_encoder_loses_layers_and_neurons() -> None:
    found = profiles(BERT, Effort.DEFAULT)
    assert Profile() not in found
    assert len(set(found)) == len(found)
    assert Profile(ffn=0.5) in found
    assert Profile(layers=(0, 2, 4, 7, 9, 11), ffn=0.25) in found
    assert {p.heads for p in found} == {1.0}


def test_heads_go_where_a_config_can_say_so() -> None:
    assert {p.heads for p in profiles(VIT, Effort.EXTENSIVE)} == {1.0, 8 / 12}


def test_a_convolution_net_loses_channels() -> None:
    found = profiles({"model_type": "resnet", "hidden_sizes": [64, 128]}, Effort.DEFAULT)
    assert found
    assert all(p.channels < 1 and p.layers == () for p in found)


@pytest.mark.parametrize("kind", ["albert", "gpt2", "", "nonsense"])
def test_other_families_are_not_cut(kind: str) -> None:
    assert profiles({"model_type": kind}, Effort.DEFAULT) == ()


def test_quick_cuts_nothing() -> None:
    assert profiles(BERT, Effort.QUICK) == ()


def test_a_config_that_says_no_sizes_is_not_cut() -> None:
    assert profiles({"model_type": "bert"}, Effort.DEFAULT) == ()
