"""A share with its interval: Wilson's score interval, two-sided.

Unlike the plain normal one it holds near 0 and 1 and never leaves them (Wilson 1927; Agresti and
Coull 1998).
"""

from deployopt.core.distributions import normal_quantile


def wilson_interval(count: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Lower and upper bound on the share of which `count` of `n` were seen.

    Raises:
        ValueError: counts that do not fit together.
    """
    if n < 1 or not 0 <= count <= n:
        raise ValueError(f"{count} of {n} is no share")
    z = normal_quantile(0.5 + confidence / 2)
    share = count / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5
    return max(0.0, centre - half), min(1.0, centre + half)
