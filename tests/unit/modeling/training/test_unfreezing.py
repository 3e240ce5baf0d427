"""Gradual unfreezing: first the head moves, then the upper layers, then everything."""

import copy
from pathlib import Path

import pytest

from deployopt.core.interface import Interface, Task, TextInputs
from deployopt.core.memory import Method
from deployopt.core.training import TrainingOptions
from tests.fakes import bases

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bases.write_encoder(tmp_path_factory.mktemp("unfreezing") / "base")


@pytest.mark.parametrize(
    ("method", "begins"), [(Method.FULL, 4), (Method.FREEZE, 2)]
)  # fmt: skip
def test_more_and_more_moves(base: Path, method: Method, begins: int) -> None:
    import torch

    from deployopt.modeling.training.methods import prepare
    from deployopt.modeling.training.starting import start_model
    from deployopt.modeling.training.unfreezing import stages_of

    interface = Interface(
        task=Task.TEXT_CLASSIFICATION,
        inputs=TextInputs(max_length=48),
        outputs=("logits",),
        labels=("a", "b"),
    )
    options = TrainingOptions(method=method, unfreeze_every=2, epochs=6)
    start = start_model(base, interface, new_head=True)
    module = prepare(start, options)
    stages = stages_of(start, module, options)
    assert stages is not None
    assert stages.last_begins == begins
    optimizer = torch.optim.AdamW(w for w in module.parameters() if w.requires_grad)
    moved: list[set[str]] = []
    for epoch in range(6):
        stages.enter(epoch)
        before = copy.deepcopy(module.state_dict())
        optimizer.zero_grad()
        module(input_ids=torch.randint(4, 50, (4, 9))).logits.square().sum().backward()
        optimizer.step()
        after = module.state_dict()
        moved.append({name for name in after if not torch.equal(before[name], after[name])})
    assert all("classifier" in name for name in moved[0])
    assert moved[0]
    assert moved[1] == moved[0] < moved[2] == moved[3]
    assert any("layer.1." in name for name in moved[2])
    assert not any("layer.0." in name or "embeddings" in name for name in moved[2])
    assert any("embeddings" in name for name in moved[4]) is (method is Method.FULL)
