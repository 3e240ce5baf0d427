"""Longer floats for a card: which of them a provider and a compute capability have."""

import msgspec
import pytest

from deployopt.core.recipe import Recipe
from deployopt.core.target import Target
from deployopt.pipeline.card_forms import longer_recipes
from deployopt.pipeline.runtimes import CARD_STEPS, place_of
from deployopt.planning.targets import load_target
from deployopt.steps.engine import BuildEngine
from deployopt.steps.for_card import OpenOnCard
from deployopt.steps.optimize import Optimize


def on(name: str, provider: str) -> Target:
    target = load_target(name)
    return msgspec.structs.replace(
        target, runtime=msgspec.structs.replace(target.runtime, provider=provider)
    )


def longer(target: Target) -> dict[str, Recipe]:
    place = place_of(target)
    assert place is not None
    whole = Recipe(name="float", steps=(Optimize(), place.step))
    return {recipe.name: recipe for recipe in longer_recipes(whole, target)}


@pytest.mark.parametrize(
    ("name", "provider", "names"),
    [
        ("a100", "tensorrt-rtx", ["bf16", "tf32"]),
        ("a100", "tensorrt-plan", ["bf16", "tf32"]),
        ("a100", "cuda", ["tf32"]),
        ("a100", "tensorrt", []),
        ("t4", "tensorrt-rtx", []),
        # Its file gives no rate of TF32, as it has no gain in it.
        ("rtx3060", "tensorrt-rtx", ["bf16"]),
    ],
)
def test_forms_are_those_that_the_card_and_its_runtime_have(
    name: str, provider: str, names: list[str]
) -> None:
    found = longer(on(name, provider))
    assert list(found) == names
    assert all(isinstance(recipe.steps[0], Optimize) for recipe in found.values())
    assert {step.name for r in found.values() for step in r.steps[1:]} <= CARD_STEPS


@pytest.mark.parametrize("provider", ["tensorrt-rtx", "tensorrt-plan", "cuda"])
def test_tf32_is_on_in_its_own_form_alone(provider: str) -> None:
    for name, recipe in longer(on("a100", provider)).items():
        last = recipe.steps[-1]
        assert isinstance(last, BuildEngine | OpenOnCard)
        assert last.tf32 is (name == "tf32")
