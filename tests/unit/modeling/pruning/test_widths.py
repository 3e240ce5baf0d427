"""Which widths a narrower config says, and what is refused."""

import subprocess
import sys
from typing import Any

import pytest

from deployopt.core.errors import StepError
from deployopt.modeling.pruning.widths import narrower

RESNET_18 = {
    "model_type": "resnet", "layer_type": "basic", "embedding_size": 64,
    "hidden_sizes": [64, 128, 256, 512],
}  # fmt: skip
RESNET_50 = {
    "model_type": "resnet", "layer_type": "bottleneck", "embedding_size": 64,
    "hidden_sizes": [256, 512, 1024, 2048],
}  # fmt: skip


@pytest.mark.parametrize(
    ("config", "share", "changes"),
    [
        (RESNET_18, 1, {}),
        (RESNET_18, 0.7, {"embedding_size": 48, "hidden_sizes": [48, 88, 176, 360]}),
        (RESNET_18, 0.01, {"embedding_size": 8, "hidden_sizes": [8, 8, 8, 8]}),
        (RESNET_50, 0.7, {"embedding_size": 48, "hidden_sizes": [192, 352, 704, 1440]}),
        ({"model_type": "mobilenet_v1"}, 0.7, {"depth_multiplier": 0.75}),
        ({"model_type": "mobilenet_v1", "depth_multiplier": 0.25}, 0.9, {"depth_multiplier": 0.25}),
        ({"model_type": "mobilenet_v2", "depth_multiplier": 1.4}, 0.5, {"depth_multiplier": 0.7}),
        ({"model_type": "efficientnet"}, 0.7, {"width_coefficient": 0.7, "hidden_dim": 896}),
    ],
)
def test_what_changes(config: dict[str, object], share: float, changes: dict[str, object]) -> None:
    if share == 0.01:
        with pytest.raises(StepError, match="Keep more channels"):
            narrower(config, share)
    else:
        assert narrower(config, share) == changes


@pytest.mark.parametrize(
    ("config", "share", "words"),
    [
        (RESNET_18, 0.0, "above 0, at most 1"),
        ({"model_type": "convnext"}, 0.5, "'convnext' cannot lose channels"),
        (RESNET_18 | {"hidden_sizes": "64"}, 0.5, "no.* a list of widths"),
        (RESNET_18 | {"embedding_size": 0}, 0.5, "whole number above zero"),
        ({"model_type": "mobilenet_v2", "depth_multiplier": -1}, 0.5, "number above zero"),
    ],
)
def test_what_is_refused(config: dict[str, Any], share: float, words: str) -> None:
    with pytest.raises(StepError, match=words):
        narrower(config, share)


def test_kinds_are_told_without_torch() -> None:
    script = (
        "import sys; from deployopt.modeling.pruning.kinds import pruned_by; "
        "assert pruned_by('bert') == 'encoder'; assert pruned_by('resnet') == 'channels'; "
        "assert pruned_by('convnext') is None; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
