"""The calibration table of a target file."""

import msgspec
import pytest

from deployopt.core.calibration import Pace
from deployopt.core.units import Bandwidth, Compute, Duration
from tests.unit.core.test_additive import pace


@pytest.mark.parametrize(
    "changes",
    [
        {"gemm": Compute(0.0)},
        {"weights": Bandwidth(0.0)},
        {"overhead": Duration(-1e-6)},
    ],
)
def test_rates_are_above_zero(changes: dict[str, float]) -> None:
    fields = msgspec.structs.asdict(pace()) | changes
    with pytest.raises(ValueError, match=f"{next(iter(changes))} must"):
        Pace(**fields)


def test_an_operator_may_cost_nothing_besides() -> None:
    assert float(Pace(**msgspec.structs.asdict(pace()) | {"overhead": Duration(0.0)}).overhead) == 0
