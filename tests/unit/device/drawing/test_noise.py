"""The noise of a seed: normal, and the same for ever."""

import numpy as np
import pytest

from deployopt.device.drawing.noise import normal_noise, seed_of

KNOWN = [0.1339886, -0.6393774, -0.4014087, -0.3628972]


def test_it_is_the_same_for_ever() -> None:
    # Worked out once; another value would draw other images of the same seed.
    found = normal_noise(3, (1, 4))
    assert found.dtype == np.float32
    assert found.tolist() == [pytest.approx(KNOWN, abs=1e-6)]


def test_it_is_normal() -> None:
    found = normal_noise(0, (4, 100, 100)).astype(np.float64).ravel()
    assert abs(found.mean()) < 0.02
    assert abs(found.std() - 1.0) < 0.01
    assert abs((np.abs(found) < 1.0).mean() - 0.6827) < 0.01
    assert abs(np.corrcoef(found[: found.size // 2], found[found.size // 2 :])[0, 1]) < 0.03


def test_seeds_and_odd_sizes_differ() -> None:
    assert not np.allclose(normal_noise(1, (8,)), normal_noise(2, (8,)))
    assert normal_noise(1, (3, 3)).shape == (3, 3)
    assert np.isfinite(normal_noise(5, (100_001,))).all()


def test_a_prompt_has_one_seed() -> None:
    assert seed_of("a cat") == seed_of("a cat") != seed_of("a dog")
    assert 0 <= seed_of("") < 2**64
