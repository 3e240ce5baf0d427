"""What a config tells of a family's shape, and which can lose heads."""

import subprocess
import sys

import pytest

from deployopt.core.errors import StepError
from deployopt.modeling.pruning.families import FAMILIES, check_heads, whole_shape
from deployopt.modeling.pruning.shape import Shape


def test_shapes_of_configs() -> None:
    distil = {"model_type": "distilbert", "n_layers": 6, "n_heads": 12, "hidden_dim": 1536}
    assert whole_shape(distil) == Shape(layers=tuple(range(6)), heads=12, ffn=1536)
    bert = {
        "model_type": "bert",
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
    }
    assert whole_shape(bert) == Shape(layers=(0, 1), heads=4, ffn=64)
    assert whole_shape({"model_type": "bert", "num_hidden_layers": 2}) is None


def test_a_family_that_is_not_known() -> None:
    with pytest.raises(StepError, match="'albert' cannot be pruned"):
        whole_shape({"model_type": "albert"})
    with pytest.raises(StepError, match="'None' cannot be pruned"):
        whole_shape({})


@pytest.mark.parametrize("kind", FAMILIES)
def test_heads_go_only_where_a_config_can_say_so(kind: str) -> None:
    whole, fewer = (Shape(layers=(0,), heads=n, ffn=64) for n in (4, 3))
    check_heads(kind, whole, whole)
    if kind in ("vit", "deit"):
        check_heads(kind, whole, fewer)
    else:
        with pytest.raises(StepError, match="keeps all 4 heads"):
            check_heads(kind, whole, fewer)


def test_it_is_known_without_torch() -> None:
    code = (
        "import sys, deployopt.modeling.pruning.families, deployopt.modeling.distilling.options; "
        "print('torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
