"""Steps of DDIM: what is visited, and what one step leaves."""

import msgspec
import numpy as np
import pytest

from deployopt.core.errors import UsageError
from deployopt.device.drawing.schedule import course_of, one_step
from tests.fakes.drawing_graphs import SCHEDULE


def test_the_timesteps_of_each_spacing() -> None:
    # As diffusers' documentation of the spacings has them, of 1000 steps in 4.
    told = {"leading": (751, 501, 251, 1), "linspace": (999, 666, 333, 0),
        "trailing": (999, 749, 499, 249)}  # fmt: skip
    for spacing, timesteps in told.items():
        schedule = msgspec.structs.replace(SCHEDULE, spacing=spacing)
        assert course_of(schedule, 4).timesteps == timesteps, spacing


def test_every_number_of_steps_ends_where_the_model_was_trained() -> None:
    # 61 steps of 1000/61 are one more than 61 when they are rounded.
    schedule = msgspec.structs.replace(SCHEDULE, spacing="trailing")
    for steps in (61, 103, *range(1, 1000, 37)):
        timesteps = course_of(schedule, steps).timesteps
        assert len(timesteps) == steps
        assert timesteps[0] == 999
        assert timesteps[-1] >= 0, steps


@pytest.mark.parametrize("steps", [0, -1, 1001])
def test_steps_that_cannot_be_taken(steps: int) -> None:
    with pytest.raises(UsageError, match="takes 1 to 1000"):
        course_of(SCHEDULE, steps)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_a_step_takes_known_noise_away(prediction: str) -> None:
    # A sample that is made of a known image and known noise goes to the same with less of it.
    schedule = msgspec.structs.replace(SCHEDULE, prediction=prediction)
    course = course_of(schedule, 10)
    lot = np.random.default_rng(0)
    image, noise = lot.standard_normal((2, 1, 3, 4, 4)).astype(np.float32)
    timestep = course.timesteps[2]
    signal = float(course.signal[timestep])
    sample = (np.sqrt(signal) * image + np.sqrt(1 - signal) * noise).astype(np.float32)
    answer = noise
    if prediction == "v_prediction":
        answer = (np.sqrt(signal) * noise - np.sqrt(1 - signal) * image).astype(np.float32)
    moved = one_step(course, timestep, sample, answer)
    after = float(course.signal[timestep - 100])
    wanted = np.sqrt(after) * image + np.sqrt(1 - after) * noise
    assert moved.dtype == np.float32
    np.testing.assert_allclose(moved, wanted, atol=2e-6)


@pytest.mark.parametrize(("clean", "left"), [(True, 1.0), (False, None)])
def test_what_is_left_after_the_last_step(*, clean: bool, left: float | None) -> None:
    course = course_of(msgspec.structs.replace(SCHEDULE, ends_clean=clean), 10)
    found = float(course.signal_before(1))
    assert found == (left or pytest.approx(1 - 0.00085, abs=1e-6))


def test_the_signal_falls_from_all_to_little() -> None:
    signal = course_of(SCHEDULE, 5).signal
    assert len(signal) == 1000
    assert (np.diff(signal) < 0).all()
    assert signal[0] > 0.999
    assert signal[-1] < 0.01
