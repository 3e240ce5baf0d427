"""What pruning refuses before torch is imported."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from deployopt.core.artifact import Artifact, Format
from deployopt.core.errors import MissingExtraError, StepError
from deployopt.core.recipe import StepContext
from deployopt.steps import needs
from deployopt.steps.prune import Prune

Contexts = Callable[[], StepContext]
CONFIG = {"model_type": "distilbert", "n_layers": 6, "n_heads": 12, "hidden_dim": 1536}


@pytest.fixture
def source(float_graph: Artifact, monkeypatch: pytest.MonkeyPatch) -> Artifact:
    monkeypatch.setattr(needs, "find_spec", lambda name: name)
    (float_graph.folder / "config.json").write_text(json.dumps(CONFIG))
    return msgspec.structs.replace(float_graph, format=Format.TRANSFORMERS)


def test_what_it_can_cut(source: Artifact, context: Contexts) -> None:
    for step in (Prune(), Prune(layers=(0, 2, 4), ffn=0.5), Prune(importance="magnitude")):
        step.requires(source, context())
    without = msgspec.structs.replace(context(), samples=None)
    Prune(ffn=0.5).requires(source, without)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"layers": (0, 6)}, "has layers 0 to 5"),
        ({"ffn": 0.0}, "share of ffn"),
        ({"heads": 0.5}, "keeps all 12 heads"),
        ({"samples": 0}, "one sample at least"),
    ],
)
def test_what_it_refuses(
    options: dict[str, Any], words: str, source: Artifact, context: Contexts
) -> None:
    with pytest.raises(StepError, match=words):
        Prune(**options).requires(source, context())


def test_a_convolution_net_loses_channels_and_nothing_else(
    source: Artifact, context: Contexts
) -> None:
    path = source.folder / "config.json"
    path.write_text('{"model_type": "mobilenet_v2"}')
    for step in (Prune(), Prune(channels=0.5)):
        step.requires(source, context())
    for step, words in (
        (Prune(ffn=0.5), "is a convolution net"),
        (Prune(channels=1.5), "share of channels"),
    ):
        with pytest.raises(StepError, match=words):
            step.requires(source, context())
    path.write_text('{"model_type": "regnet"}')
    with pytest.raises(StepError, match="'regnet' cannot lose channels"):
        Prune(channels=0.5).requires(source, context())
    path.write_text(json.dumps(CONFIG))
    with pytest.raises(StepError, match="distilbert model has no channels"):
        Prune(channels=0.5).requires(source, context())


def test_other_families_and_broken_configs(source: Artifact, context: Contexts) -> None:
    path = source.folder / "config.json"
    for text, words in (
        ('{"model_type": "albert"}', "'albert' cannot be pruned"),
        ("[]", "not a JSON object"),
        ("{", "can be read"),
    ):
        path.write_text(text)
        with pytest.raises(StepError, match=words):
            Prune().requires(source, context())


def test_a_graph_cannot_be_cut(float_graph: Artifact, context: Contexts) -> None:
    with pytest.raises(StepError, match="transformers form"):
        Prune().requires(float_graph, context())


def test_missing_packages_name_the_extra(
    source: Artifact, context: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(needs, "find_spec", lambda name: None if name == "torch" else name)
    with pytest.raises(MissingExtraError, match=r"deployopt\[build\]"):
        Prune().requires(source, context())
