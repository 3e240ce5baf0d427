"""Narrowed convolution nets of every family: exact, ordinary when saved, useless channels first."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployopt.core.artifact import Artifact, Format, Precision
from deployopt.core.errors import StepError
from deployopt.core.recipe import StepContext
from deployopt.core.samples import Array, encode_samples
from deployopt.steps.prune import Prune
from tests.fakes import convnets

pytestmark = pytest.mark.torch


def logits(model: Any, images: dict[str, Array]) -> Array:
    import torch

    with torch.inference_mode():
        found: Array = model(torch.from_numpy(images["pixel_values"])).logits.numpy().copy()
    return found


def narrowed(model: Any, share: float, method: str = "taylor") -> Any:
    from deployopt.modeling.pruning.channels import narrow
    from deployopt.modeling.pruning.scoring import Importance

    return narrow(
        model, share, [convnets.batch()], Importance(method), [convnets.batch(2, seed=1)]
    ).model


@pytest.mark.parametrize("family", convnets.FAMILIES)
def test_a_narrower_net_is_exact_and_an_ordinary_one(family: str, tmp_path: Path) -> None:
    """The check inside `narrow` holds it against the silenced original; here: saved and loaded."""
    from deployopt.modeling.loading import load_model

    model = convnets.convnet(family)
    assert np.ptp(logits(model, convnets.batch(4, seed=4)), axis=0).min() > 0.01
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    small = narrowed(model, 0.6)
    for name, weight in model.state_dict().items():
        assert (weight == before[name]).all()
    assert small.num_parameters() < 0.6 * model.num_parameters()
    small.save_pretrained(tmp_path)
    again = load_model(tmp_path, convnets.interface().task)
    images = convnets.batch(2, seed=2)
    np.testing.assert_allclose(logits(again, images), logits(small, images), rtol=1e-4, atol=1e-4)
    assert again.config.id2label == model.config.id2label


@pytest.mark.parametrize("method", ["taylor", "activation", "magnitude"])
def test_channels_that_do_nothing_go_first(method: str) -> None:
    """Half of the stem's stream and of a block's inside is dead: cutting it changes nothing."""
    import torch

    model = convnets.convnet("resnet-basic")
    stage = model.resnet.encoder.stages
    streams = [
        [model.resnet.embedder.embedder, *(layer.layer[1] for layer in stage[0].layers)],
        [stage[1].layers[0].shortcut, stage[1].layers[0].layer[1]],
        [stage[0].layers[0].layer[0]],
        [stage[0].layers[1].layer[0]],
        [stage[1].layers[0].layer[0]],
    ]
    random = np.random.default_rng(3)
    with torch.no_grad():
        for layers in streams:
            width = len(layers[0].normalization.weight)
            dead = random.permutation(width)[: width // 2].tolist()
            for layer in layers:
                layer.normalization.weight[dead] = 0
                layer.normalization.bias[dead] = 0
    images = convnets.batch(3, seed=5)
    small = narrowed(model, 0.5, method)
    np.testing.assert_allclose(logits(model, images), logits(small, images), rtol=1e-4, atol=1e-4)


def test_the_check_sees_a_wrong_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    from deployopt.modeling.pruning.channel_groups import Channels

    def wrong(self: Any, stay: Any) -> None:
        right(self, sorted({at + 1 if at + 1 < self.width else 0 for at in stay}))

    right = Channels.cut
    monkeypatch.setattr(Channels, "cut", wrong)
    with pytest.raises(StepError, match="differs from the one with silenced channels"):
        narrowed(convnets.convnet("resnet-basic"), 0.5)


def test_a_block_that_cannot_be_traced_is_named() -> None:
    import torch

    model = convnets.convnet("resnet-basic")
    block = model.resnet.encoder.stages[0].layers[1]
    block.layer[0].normalization = torch.nn.GroupNorm(4, 32)
    with pytest.raises(StepError, match=r"resnet\.encoder\.stages\.0\.layers\.1\.layer\.0\.norm"):
        narrowed(model, 0.5)
    other = copy.deepcopy(convnets.convnet("resnet-basic"))
    stem = other.resnet.embedder
    stem.forward = lambda pixel_values: stem.pooler(stem.embedder(pixel_values)).detach()
    with pytest.raises(StepError, match=r"embedder\.convolution cannot be traced"):
        narrowed(other, 0.5)


def test_residuals_that_a_width_would_add_are_noticed() -> None:
    """At 0.15 MobileNetV2's widths of 64 and 96 become one, and its class adds a shortcut."""
    with pytest.raises(StepError, match="Keep another share of its channels"):
        narrowed(convnets.convnet("mobilenet_v2"), 0.3)


def test_the_step_weighs_by_pixels_and_says_what_it_kept(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    convnets.convnet("resnet-basic").save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text("{}")
    samples = tmp_path / "samples.npz"
    samples.write_bytes(encode_samples(convnets.pixels(5)))
    workdir = tmp_path / "work"
    workdir.mkdir()
    source = Artifact(
        format=Format.TRANSFORMERS, folder=folder, entry="config.json", digest="d",
        precision=Precision.FP32,
    )  # fmt: skip
    context = StepContext(workdir=workdir, interface=convnets.interface(), samples=samples)
    step = Prune(channels=0.5)
    step.requires(source, context)
    made = step.run(source, context)
    assert made.notes == ("112 of 224 channels were kept, by taylor: 26,355 parameters are left.",)
    config = json.loads((workdir / "config.json").read_bytes())
    assert (config["embedding_size"], config["hidden_sizes"]) == (16, [16, 32])
    assert (workdir / "preprocessor_config.json").is_file()
