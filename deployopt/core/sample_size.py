"""How many labelled examples an accuracy budget needs, before anything is built.

In: the budget as a share of one, the discordance psi = (b + c) / n to be expected between
reference and candidate. Out: a number of examples, or the smallest budget that n can certify.
"""

import math
from typing import Final

from deployopt.core.distributions import normal_quantile
from deployopt.core.paired import loss_upper
from deployopt.core.standing import Standing, standing_between

_SPARSE: Final = 0.02
_SPARSE_FACTOR: Final = 1.2
_MOST_EXAMPLES: Final = 10_000_000


def examples_needed(
    margin: float,
    discordance: float,
    *,
    true_loss: float = 0.0,
    confidence: float = 0.95,
    power: float = 0.9,
) -> int | None:
    """Return the examples with which a candidate of this true loss is accepted with this power.

    n = [(z_a sqrt(psi - m^2) + z_b sqrt(psi - D^2)) / (m - D)]^2 for budget m and true loss D, a
    fifth more at discordances of 2 % and less, where the normal approximation is thin; never fewer
    than certify the budget without any discordant example. A loss of m needs a discordance of at
    least m, so psi is taken no smaller. None when the true loss is not inside the budget.
    """
    if not (0.0 < margin < 1.0 and 0.0 <= discordance <= 1.0):
        raise ValueError(f"budget {margin} and discordance {discordance} must be shares of one")
    if true_loss >= margin:
        return None
    psi = max(discordance, margin, abs(true_loss))
    null = normal_quantile(confidence) * math.sqrt(psi - margin**2)
    alternative = normal_quantile(power) * math.sqrt(psi - true_loss**2)
    needed = ((null + alternative) / (margin - true_loss)) ** 2
    if psi <= _SPARSE:
        needed *= _SPARSE_FACTOR
    floor = math.log(1.0 - confidence) / math.log(1.0 - margin)
    return math.ceil(max(needed, floor))


def certifiable(n: int, discordance: float, confidence: float = 0.95) -> float:
    """Return the smallest loss budget that n examples certify when the observed loss is zero.

    The discordant examples are split evenly, each half rounded up to a whole example.
    """
    half = min(math.ceil(0.5 * discordance * n - 1e-9), n // 2)
    return loss_upper(half, half, n, confidence)


def examples_to_settle(
    b: int, c: int, n: int, margin: float, confidence: float = 0.95
) -> int | None:
    """Estimate how many further examples would settle the budget, should b and c grow with n.

    None when the loss seen is the budget itself, or more than ten million would be needed.
    """

    def settled(total: int) -> bool:
        lost, gained = b * total / n, c * total / n
        upper = loss_upper(math.ceil(lost), math.floor(gained), total, confidence)
        lower = -loss_upper(math.ceil(gained), math.floor(lost), total, confidence)
        return standing_between(lower, upper, margin) is not Standing.UNSETTLED

    if settled(n):
        return 0
    low, high = n, 2 * n
    while not settled(high):
        low, high = high, 2 * high
        if high > _MOST_EXAMPLES:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if settled(middle) else (middle, high)
    return high - n
