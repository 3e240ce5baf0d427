"""A graph is opened through TensorRT: all is real here up to the plan, which needs its card.

TensorRT for RTX stands in TensorRT's place, as tests/fakes/at_card has it.
"""

from pathlib import Path

import numpy as np
import pytest

from deployopt.core.artifact import SessionOptions
from deployopt.core.engine import InputRange
from deployopt.core.errors import DeviceError
from deployopt.device import plan_session as module
from deployopt.device import tensorrt_library
from deployopt.device.cuda_driver import driver_missing
from deployopt.device.session import open_session
from deployopt.device.setup import Setup
from tests.fakes import models
from tests.fakes.plans import CARD, builder_here

PROFILE = (InputRange(name="x", least=(1, 16), usual=(1, 16), most=(4, 16)),)


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    folder = tmp_path / "model"
    folder.mkdir()
    return Setup(
        artifact="d",
        model=models.write_mlp(folder / "model.onnx", width=64),
        session=SessionOptions(profile=PROFILE),
        threads=1,
        runtime="tensorrt",
        provider="tensorrt-plan",
        engines=tmp_path / "engines",
    )


def test_without_a_driver_nothing_is_opened(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorrt_library, "driver_missing", lambda: "there is no NVIDIA driver")
    with pytest.raises(DeviceError, match=r"cannot be opened here: there is no NVIDIA driver\."):
        open_session(setup)
    assert setup.engines is not None
    assert not setup.engines.exists()


class Driver:
    """It stands for the card."""

    compute_capability = "8.6"
    stream = 1


@pytest.mark.slow
def test_a_plan_is_built_and_kept_and_its_opening_needs_the_card(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorrt_rtx")
    if driver_missing() is None:
        pytest.skip("there is a card, and the plan is of the other library")
    library = builder_here(monkeypatch)
    monkeypatch.setattr(module, "import_tensorrt", lambda: library)
    monkeypatch.setattr(module, "describe_card", lambda: CARD)
    monkeypatch.setattr(module, "CudaDriver", Driver)
    for _ in range(2):
        with pytest.raises(DeviceError, match="TensorRT does not open the engine"):
            open_session(setup)
    assert setup.engines is not None
    kept = [path.name for path in setup.engines.glob("*.built")]
    # The plan, its record, and the timings of kernels, once each.
    assert len(kept) == 3
    assert sum(name.startswith("timings-") for name in kept) == 1


@pytest.mark.gpu
def test_on_the_card_it_answers_as_on_the_cpu(setup: Setup) -> None:
    pytest.importorskip("tensorrt")
    given = {"x": np.linspace(-1, 1, 32, dtype=np.float32).reshape(2, 16)}
    plain = Setup(artifact="d", model=setup.model, threads=1)
    (expected,) = open_session(plain).run(None, given)
    for _ in range(2):
        (found,) = open_session(setup).run(None, given)
        assert np.allclose(found, expected, atol=1e-4)
