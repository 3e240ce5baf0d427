"""Pruned encoders of every family: exact, ordinary when saved, the useless parts gone first."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployopt.core.errors import StepError
from deployopt.core.samples import Array
from tests.fakes import encoders

pytestmark = pytest.mark.torch


def logits(model: Any, feeds: list[dict[str, Array]]) -> Array:
    import torch

    with torch.inference_mode():
        return np.concatenate(
            [
                model(**{name: torch.from_numpy(array) for name, array in feed.items()})
                .logits.numpy()
                .copy()
                for feed in feeds
            ]
        )


@pytest.mark.parametrize("family", encoders.FAMILIES)
@pytest.mark.parametrize("method", ["taylor", "activation", "magnitude"])
def test_a_pruned_model_says_what_the_masked_one_says(family: str, method: str) -> None:
    from deployopt.modeling.encoders import Encoder
    from deployopt.modeling.pruning.scoring import Importance, scores
    from deployopt.modeling.pruning.shape import Shape
    from deployopt.modeling.pruning.surgery import prune

    model = encoders.encoder(family)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    heads = 2 if family in ("vit", "deit") else encoders.HEADS
    shape = Shape(layers=(0, 2, 3), heads=heads, ffn=32)
    found = scores(model, [encoders.padded(family)], Importance(method))
    pruned = prune(model, shape, found, checked=[encoders.padded(family, seed=1)])
    assert Encoder(pruned).shape == Shape(layers=(0, 1, 2), heads=heads, ffn=32)
    assert Encoder(pruned).head_dim == Encoder(model).head_dim == 8
    for name, weight in model.state_dict().items():
        assert (weight == before[name]).all()
    assert pruned.num_parameters() < 0.8 * model.num_parameters()
    assert not pruned.training


@pytest.mark.parametrize("family", encoders.FAMILIES)
def test_the_check_sees_a_wrong_cut(family: str) -> None:
    import torch

    from deployopt.modeling.encoders import Encoder
    from deployopt.modeling.pruning.scoring import scores
    from deployopt.modeling.pruning.shape import Shape
    from deployopt.modeling.pruning.surgery import EXACT, choose, cut, largest_difference

    model = encoders.encoder(family)
    kept = choose(Encoder(model), Shape(layers=(1, 3), heads=4, ffn=64), scores(model, []))
    pruned = cut(model, kept)
    feeds = [encoders.padded(family)]
    assert largest_difference(model, pruned, kept, feeds) <= EXACT
    down = Encoder(pruned).part(1, Encoder(pruned).family.down)
    with torch.no_grad():
        down.weight.copy_(down.weight.flip(1))
    assert largest_difference(model, pruned, kept, feeds) > 100 * EXACT


@pytest.mark.parametrize("family", encoders.FAMILIES)
def test_saved_and_loaded_it_is_the_same_and_exports(family: str, tmp_path: Path) -> None:
    from deployopt.graph.attaching import attach_weights
    from deployopt.modeling.exporting import ExportOptions, export_folder
    from deployopt.modeling.loading import load_model
    from deployopt.modeling.pruning.scoring import scores
    from deployopt.modeling.pruning.shape import Shape
    from deployopt.modeling.pruning.surgery import prune

    heads = 1 if family in ("vit", "deit") else encoders.HEADS
    model = encoders.encoder(family)
    pruned = prune(model, Shape(layers=(0, 3), heads=heads, ffn=48), scores(model, []))
    folder = encoders.saved(tmp_path / "pruned", pruned)
    interface, feeds = encoders.interface(family), encoders.feeds(family)
    loaded = load_model(folder, interface.task)
    assert np.abs(logits(loaded, feeds) - logits(pruned, feeds)).max() < 1e-6
    for name, weight in pruned.state_dict().items():
        assert (loaded.state_dict()[name] == weight).all(), name
    config = json.loads((folder / "config.json").read_text())
    assert config.get("num_hidden_layers", config.get("n_layers")) == 2
    assert config.get("intermediate_size", config.get("hidden_dim")) == 48
    options = ExportOptions(attach=attach_weights)
    assert export_folder(folder, interface, tmp_path / "model.onnx", options, feeds) < 1e-4


@pytest.mark.parametrize("method", ["taylor", "activation", "magnitude"])
@pytest.mark.parametrize("family", encoders.FAMILIES)
def test_parts_that_do_nothing_come_last(family: str, method: str) -> None:
    import torch

    from deployopt.modeling.encoders import Encoder
    from deployopt.modeling.pruning.scoring import Importance, scores

    model = encoders.encoder(family)
    seen = Encoder(model)
    with torch.no_grad():
        seen.part(1, seen.family.down).weight[:, 17] = 0
        seen.part(2, seen.family.out).weight[:, 8:16] = 0
    found = scores(model, [encoders.padded(family)], Importance(method))
    assert int(found.ffn[1].argmin()) == 17
    assert int(found.heads[2].argmin()) == 1


@pytest.mark.parametrize("method", ["taylor", "activation", "magnitude"])
@pytest.mark.parametrize("family", ["vit", "distilbert"])
def test_a_layer_that_hardly_changes_anything_comes_last(family: str, method: str) -> None:
    import torch

    from deployopt.modeling.encoders import Encoder
    from deployopt.modeling.pruning.scoring import Importance, scores

    model = encoders.encoder(family)
    seen = Encoder(model)
    with torch.no_grad():
        for path in (seen.family.down, seen.family.out):
            seen.part(2, path).weight.mul_(1e-3)
            seen.part(2, path).bias.mul_(1e-3)
        if family == "distilbert":  # its norms stand on the way through: let them pass
            for at in range(encoders.LAYERS):
                for norm in (seen.layers[at].sa_layer_norm, seen.layers[at].output_layer_norm):
                    norm.weight.fill_(1.0)
                    norm.bias.fill_(0.0)
    found = scores(model, [encoders.padded(family)], Importance(method))
    assert int(found.layers.argmin()) == 2


def test_padding_changes_no_score() -> None:
    from deployopt.modeling.pruning.scoring import Importance, scores

    model = encoders.encoder("distilbert")
    for method in (Importance.TAYLOR, Importance.ACTIVATION):
        together = scores(model, [encoders.padded("distilbert")], method)
        alone = scores(model, encoders.feeds("distilbert"), method)
        assert together.ffn == pytest.approx(alone.ffn, rel=1e-3, abs=1e-6)
        assert together.heads == pytest.approx(alone.heads, rel=1e-3, abs=1e-6)
        assert together.layers == pytest.approx(alone.layers, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("family", ["bert", "roberta", "electra", "distilbert"])
def test_fewer_heads_are_refused_where_no_config_can_say_so(family: str) -> None:
    from deployopt.modeling.pruning.scoring import scores
    from deployopt.modeling.pruning.shape import Shape
    from deployopt.modeling.pruning.surgery import prune

    model = encoders.encoder(family)
    with pytest.raises(StepError, match="keeps all 4 heads"):
        prune(model, Shape(layers=(0,), heads=3, ffn=32), scores(model, []))


def test_a_family_that_shares_its_layers_is_refused() -> None:
    import transformers

    from deployopt.modeling.pruning.scoring import scores

    config = transformers.AlbertConfig(
        vocab_size=50, embedding_size=8, hidden_size=16, num_attention_heads=2,
        intermediate_size=16, num_hidden_layers=2,
    )  # fmt: skip
    model = transformers.AlbertForSequenceClassification(config)
    with pytest.raises(StepError, match="'albert' cannot be pruned"):
        scores(model, [])
