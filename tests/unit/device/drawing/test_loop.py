"""What runs between the parts: who is asked, for what, how often."""

import msgspec
import numpy as np
import pytest

from deployopt.core.samples import Array
from deployopt.device.drawing.loop import Drawn, Floats, Ints, draw, pixels_of
from deployopt.device.drawing.schedule import course_of, one_step
from tests.fakes.drawing_graphs import INPUTS


class Told:
    """Parts that remember what they were asked: noise is a share of the prompt's own number."""

    def __init__(self) -> None:
        self.ids: list[Ints] = []
        self.timesteps: list[list[int]] = []
        self.latents: list[Floats] = []

    def encode(self, ids: Ints) -> Floats:
        self.ids.append(ids)
        hidden: Floats = ids[:, :, None].astype(np.float32)
        return hidden

    def predict(self, sample: Floats, timestep: Ints, hidden: Floats) -> Floats:
        self.timesteps.append(timestep.tolist())
        share = hidden.mean(axis=(1, 2))[:, None, None, None]
        noise: Floats = (0.1 * sample + share).astype(np.float32)
        return noise

    def decode(self, latents: Floats) -> Floats:
        self.latents.append(latents)
        return latents


def request(batch: int = 1) -> dict[str, Array]:
    lot = np.random.default_rng(1)
    return {
        "input_ids": np.full((batch, 3), 2, np.int64),
        "negative_ids": np.zeros((batch, 3), np.int64),
        "noise": lot.standard_normal((batch, 3, 4, 6)).astype(np.float32),
    }


def test_with_guidance_both_prompts_are_asked_at_once() -> None:
    told = Told()
    image = draw(told, INPUTS, request(2), Drawn(steps=4, guidance=3.0))
    assert image.shape == (2, 3, 4, 6)
    (ids,) = told.ids
    assert ids[:, 0].tolist() == [0, 0, 2, 2]
    assert told.timesteps == [[t] * 4 for t in (751, 501, 251, 1)]


def test_the_sample_is_led_away_from_the_negative_prompt() -> None:
    asked = request()
    image = draw(Told(), INPUTS, asked, Drawn(steps=3, guidance=3.0))
    course, sample = course_of(INPUTS.schedule, 3), asked["noise"]
    for timestep in course.timesteps:
        apart = np.float32(0.1) * sample
        towards = apart + np.float32(2.0)
        led = apart + np.float32(3.0) * (towards - apart)
        sample = one_step(course, timestep, sample, led)
    np.testing.assert_allclose(image, np.clip(sample / 0.5, -1, 1), atol=1e-4)


@pytest.mark.parametrize("guidance", [0.0, 1.0])
def test_without_guidance_the_prompt_alone_is_asked(guidance: float) -> None:
    told = Told()
    draw(told, INPUTS, request(), Drawn(steps=2, guidance=guidance))
    assert told.ids[0].tolist() == [[2, 2, 2]]
    assert told.timesteps == [[501], [1]]


def test_a_request_of_two_is_two_requests_of_one() -> None:
    both = request(2)
    how = Drawn(steps=3, guidance=2.0)
    together = draw(Told(), INPUTS, both, how)
    for at in range(2):
        alone = draw(Told(), INPUTS, {n: a[at : at + 1] for n, a in both.items()}, how)
        np.testing.assert_allclose(together[at], alone[0], atol=1e-6)


def test_latents_are_scaled_before_they_are_decoded() -> None:
    how = Drawn(steps=3, guidance=1.0)
    told, plain = Told(), Told()
    draw(told, INPUTS, request(), how)
    draw(plain, msgspec.structs.replace(INPUTS, scaling=1.0), request(), how)
    np.testing.assert_allclose(told.latents[0], 2 * plain.latents[0], rtol=1e-6)


def test_pixels() -> None:
    image = np.array([[[-1.0, 1.0]], [[0.0, -0.5]], [[0.5, 1.0]]], dtype=np.float32)
    found = pixels_of(image)
    assert found.dtype == np.uint8
    assert found.tolist() == [[[0, 128, 191], [255, 64, 255]]]
