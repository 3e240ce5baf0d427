"""Layers are ranked by what rounding them adds to the likelihood's loss."""

from pathlib import Path

import pytest

from deployopt.core.interface import Task
from tests.fakes.chat import write_tiny_llama

pytestmark = [pytest.mark.torch, pytest.mark.slow]


def test_layers_are_ranked_by_what_rounding_costs(tmp_path: Path) -> None:
    import torch
    from torch.nn.functional import cross_entropy

    from deployopt.modeling.language.sensitivity import expected_losses, most_sensitive
    from deployopt.modeling.loading import load_model

    model = load_model(write_tiny_llama(tmp_path / "m"), Task.TEXT_GENERATION)
    generator = torch.Generator().manual_seed(0)
    texts = [torch.randint(3, 400, (1, 48), generator=generator) for _ in range(4)]
    names = [name for name, part in model.named_modules() if isinstance(part, torch.nn.Linear)]
    hurt = "model.layers.1.mlp.down_proj"

    def rounded(weight: torch.Tensor) -> torch.Tensor:
        coarse = weight is model.get_submodule(hurt).weight
        step = 0.5 if coarse else 1e-3
        return torch.round(weight / step) * step

    losses = expected_losses(model, texts, rounded)
    assert set(losses) == {name for name in names if "lm_head" not in name}
    assert max(losses, key=lambda name: losses[name]) == hurt
    assert all(loss >= 0 for loss in losses.values())
    share = 256 * 64 / sum(model.get_submodule(n).weight.numel() for n in losses)
    assert most_sensitive(model, losses, share * 1.01) == (hurt,)
    assert most_sensitive(model, losses, 0.0) == ()
    assert set(most_sensitive(model, losses, 1.0)) == set(losses)

    ids = texts[0]
    model.zero_grad()
    weight = model.get_submodule(hurt).weight
    logits = model(input_ids=ids, use_cache=False).logits[0, :-1].float()
    cross_entropy(logits, ids[0, 1:], reduction="sum").backward()
    assert weight.grad is not None
    error = rounded(weight.detach()) - weight.detach()
    expected = float(((weight.grad * error) ** 2).sum()) / 2
    alone = expected_losses(model, [ids], lambda given: given + error if given is weight else given)
    assert alone[hurt] == pytest.approx(expected, rel=1e-4)


def test_what_is_built_as_one_product_shares_its_bits(tmp_path: Path) -> None:
    from deployopt.modeling.language.sensitivity import most_sensitive
    from deployopt.modeling.loading import load_model

    model = load_model(write_tiny_llama(tmp_path / "m"), Task.TEXT_GENERATION)
    at = "model.layers.0.self_attn"
    losses = {f"{at}.{name}_proj": 1.0 for name in "qkvo"} | {f"{at}.q_proj": 9.0}
    chosen = most_sensitive(model, losses, 0.7)
    assert chosen == (f"{at}.k_proj", f"{at}.q_proj", f"{at}.v_proj")
