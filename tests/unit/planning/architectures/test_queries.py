"""Detectors after DETR: planes, points and published work."""

import pytest

from deployopt.core.errors import UsageError
from deployopt.core.workload import Workload
from deployopt.planning.architectures import read_architecture
from deployopt.planning.operations import facts_of


def giga(config: dict[str, object]) -> float:
    facts = facts_of(read_architecture(config), Workload())
    return sum(o.macs * o.count for o in facts.operations) / 1e9


def test_deformable_attention_sees_all_planes() -> None:
    found = read_architecture({"model_type": "deformable_detr"})
    assert found.stacks[0].tokens == 100 * 134 + 50 * 67 + 25 * 34 + 13 * 17
    assert found.stacks[0].window == 16
    assert not found.stacks[1].cross


@pytest.mark.parametrize(
    ("config", "published"),
    [
        ({"model_type": "rt_detr", "architectures": ["RTDetrForObjectDetection"]}, 136 / 2),
        ({"model_type": "deformable_detr"}, 173.0),
    ],
)
def test_their_work_is_about_what_was_published(
    config: dict[str, object], published: float
) -> None:
    assert giga(config) == pytest.approx(published, rel=0.25)


def test_another_backbone_is_refused() -> None:
    with pytest.raises(UsageError, match="backbone"):
        read_architecture({"model_type": "conditional_detr", "backbone": "swin_tiny"})
