"""Steps of DDIM (Song et al., 2010.02502) without added noise, in float32 as diffusers takes them.

In: a schedule, how many steps, what the UNet answers. Out: the timesteps that are visited, and the
sample one step less noisy.
"""

import msgspec
import numpy as np
import numpy.typing as npt

from deployopt.core.errors import UsageError
from deployopt.core.noise_schedule import NoiseSchedule

Floats = npt.NDArray[np.float32]


class Course(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule with so many steps; `signal` is the cumulative product of 1 - beta."""

    schedule: NoiseSchedule
    timesteps: tuple[int, ...]
    stride: int
    signal: Floats

    def signal_before(self, timestep: int) -> np.float32:
        """The share of signal one step further on."""
        earlier = timestep - self.stride
        if earlier >= 0:
            return np.float32(self.signal[earlier])
        return np.float32(1.0) if self.schedule.ends_clean else np.float32(self.signal[0])


def course_of(schedule: NoiseSchedule, steps: int) -> Course:
    """What a drawing of so many steps visits.

    Raises:
        UsageError: fewer than one step, or more than the model was trained with.
    """
    if not 1 <= steps <= schedule.train_steps:
        raise UsageError(
            f"{steps} steps cannot be taken: this model takes 1 to {schedule.train_steps}."
        )
    return Course(
        schedule=schedule,
        timesteps=tuple(int(step) for step in _timesteps(schedule, steps)),
        stride=schedule.train_steps // steps,
        signal=_signal(schedule),
    )


def one_step(course: Course, timestep: int, sample: Floats, answer: Floats) -> Floats:
    """The sample with less noise, by what the UNet answers for it."""
    signal = np.float32(course.signal[timestep])
    there, noisy = np.sqrt(signal), np.sqrt(np.float32(1.0) - signal)
    if course.schedule.prediction == "epsilon":
        noise = answer
        clean = (sample - noisy * answer) / there
    else:
        clean = there * sample - noisy * answer
        noise = there * answer + noisy * sample
    after = course.signal_before(timestep)
    moved: Floats = np.sqrt(after) * clean + np.sqrt(np.float32(1.0) - after) * noise
    return moved


def _timesteps(schedule: NoiseSchedule, steps: int) -> npt.NDArray[np.int64]:
    """The noisiest first."""
    trained = schedule.train_steps
    found: npt.NDArray[np.float64]
    if schedule.spacing == "leading":
        found = np.arange(steps, dtype=np.float64)[::-1] * (trained // steps) + schedule.offset
    elif schedule.spacing == "linspace":
        found = np.linspace(0, trained - 1, steps).round()[::-1]
    else:
        # Rounding gives some numbers of steps one more, beyond the last.
        found = np.round(np.arange(trained, 0, -trained / steps)[:steps]) - 1
    return np.minimum(found, trained - 1).astype(np.int64)


def _signal(schedule: NoiseSchedule) -> Floats:
    first, last, count = schedule.beta_start, schedule.beta_end, schedule.train_steps
    if schedule.betas == "linear":
        betas = np.linspace(first, last, count, dtype=np.float64)
    else:
        betas = np.linspace(first**0.5, last**0.5, count, dtype=np.float64) ** 2
    return np.cumprod(1.0 - betas).astype(np.float32)
