"""A base gets its head, new or its own; missing weights below the head are no base."""

from pathlib import Path
from typing import Any

import pytest

from deployopt.core.errors import RefusedInputError, StepError, UsageError
from deployopt.core.interface import Interface, Task, TextInputs
from tests.fakes import bases

pytestmark = pytest.mark.torch


def interface(*labels: str) -> Interface:
    return Interface(
        task=Task.TEXT_CLASSIFICATION, inputs=TextInputs(max_length=48), outputs=("logits",),
        labels=labels,
    )  # fmt: skip


def test_an_encoder_gets_a_head_that_the_seed_decides(tmp_path: Path) -> None:
    import torch

    from deployopt.modeling.training.starting import start_model

    base = bases.write_encoder(tmp_path / "base")
    heads: list[Any] = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        start = start_model(base, interface("a", "b", "c"), new_head=True)
        heads.append(start.model.classifier.weight.clone())
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])
    assert start.head_names == ("pre_classifier", "classifier")
    assert start.model.config.id2label == {0: "a", 1: "b", 2: "c"}


def test_a_head_of_its_own_is_kept_and_other_answers_are_drawn(tmp_path: Path) -> None:
    import torch

    from deployopt.modeling.training.starting import start_model

    base = bases.write_encoder(tmp_path / "base")
    whole = tmp_path / "whole"
    torch.manual_seed(0)
    made = start_model(base, interface("a", "b"), new_head=True).model
    made.save_pretrained(whole)
    kept = start_model(whole, interface("a", "b"), new_head=False).model
    other = start_model(whole, interface("x", "y"), new_head=True).model
    assert torch.equal(kept.classifier.weight, made.classifier.weight)
    assert not torch.equal(other.classifier.weight, made.classifier.weight)
    assert torch.equal(other.pre_classifier.weight, made.pre_classifier.weight)


def test_missing_weights_below_the_head_are_refused(tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    from deployopt.modeling.training.starting import start_model

    base = bases.write_encoder(tmp_path / "base")
    tensors = load_file(base / "model.safetensors")
    del tensors["transformer.layer.1.ffn.lin1.weight"]
    save_file(tensors, base / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(StepError, match=r"lacks 1 of the weights.*lin1"):
        start_model(base, interface("a", "b"), new_head=True)


def test_code_and_unknown_kinds_are_refused(tmp_path: Path) -> None:
    from deployopt.modeling.training.starting import start_model

    base = bases.write_encoder(tmp_path / "base")
    config = base / "config.json"
    plain = config.read_text("utf-8")
    config.write_text(plain.replace("{", '{"auto_map": {"AutoModel": "x.py"},', 1), "utf-8")
    with pytest.raises(RefusedInputError, match="auto_map"):
        start_model(base, interface("a", "b"), new_head=True)
    config.write_text(plain.replace('"distilbert"', '"whisper"'), "utf-8")
    with pytest.raises(UsageError, match="whisper"):
        start_model(base, interface("a", "b"), new_head=True)
