"""The exact distribution of a paired loss against its closed form and against draws."""

import math

import numpy as np
import pytest

from deployopt.core.melded import melded_cdf


@pytest.mark.parametrize(("b", "n"), [(0, 10), (3, 50), (9, 872)])
def test_without_gains_it_is_a_beta(b: int, n: int) -> None:
    loss = 0.04
    fewer = sum(math.comb(n, k) * loss**k * (1 - loss) ** (n - k) for k in range(b + 1))
    assert melded_cdf(loss, b, 0, n) == pytest.approx(1 - fewer)


@pytest.mark.parametrize(("b", "c", "n"), [(2, 1, 40), (4, 5, 300), (0, 3, 25)])
def test_it_agrees_with_draws(b: int, c: int, n: int) -> None:
    draws = np.random.default_rng(0).dirichlet((b + 1, c, n - b - c), size=200_000)
    differences = draws[:, 0] - draws[:, 1]
    for loss in (-0.05, 0.0, 0.01, 0.08):
        assert melded_cdf(loss, b, c, n) == pytest.approx(np.mean(differences <= loss), abs=0.005)


def test_it_rises_from_nothing_to_all() -> None:
    values = [melded_cdf(loss, 3, 2, 60) for loss in np.linspace(-1.0, 1.0, 41)]
    assert np.all(np.diff(values) > -1e-12)
    assert values[0] == pytest.approx(0.0, abs=1e-9)
    assert values[-1] == pytest.approx(1.0)
