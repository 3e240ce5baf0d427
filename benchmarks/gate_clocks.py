"""Simulated clocks: rounds whose true latency is known, judged by the gate's own functions.

In: how far the truth is from a budget or a margin, a kind of noise, runs. Out: how many runs were
accepted. No real timing is involved, and every seed is fixed.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from enum import StrEnum
from functools import lru_cache
from statistics import NormalDist
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.gate_backends import MACHINE
from deployopt.core.budget import Budget
from deployopt.core.comparison import Change
from deployopt.core.evidence import Evidence
from deployopt.core.gate import Findings, judge
from deployopt.core.measurement import Conditions, Round, Trial
from deployopt.core.quantiles import judge_rounds
from deployopt.core.regression import relative_change
from deployopt.core.relative import LOOKS, judge_relative
from deployopt.core.standing import Standing
from deployopt.core.verdict import Outcome

ROUND_NOISE: Final = 0.043
"""What two runs of one artifact on a shared machine differ by, as a standard deviation."""
REQUEST_NOISE: Final = 0.10
ROUNDS: Final = 5
_CHUNK: Final = 500
_REFERENCE_ROUNDS: Final = 20_000
_KEEP: Final = 0.9
"""Of one request's deviation that the next one has, where noise is autocorrelated."""
_BURST_SHARE: Final = 0.06
_BURST_LENGTH: Final = 20
_BURST_FACTOR: Final = 3.0
_HIT_SHARE: Final = 0.05
_HIT_SIZE: Final = 0.3
_STEP_KEEP: Final = 0.95
_LIMIT_S: Final = 0.010

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


class Noise(StrEnum):
    """How the requests of one round hang together."""

    INDEPENDENT = "independent requests"
    CORRELATED = "autocorrelated requests (0.9 from one to the next)"
    BURSTS = "bursts (6 % of requests three times as slow, 20 in a row)"


class Asked(NamedTuple):
    """A quantile, and how many requests of it a round has."""

    q: float
    requests: int


def budget_accepts(
    q: float, requests: int, runs: int, *, excess: float = 0.0, noise: float = 0.0
) -> int:
    """Count accepted runs where a typical round's q-quantile is `excess` over the budget.

    Requests are log-normal around their round's level, five rounds a run, and a round's level is
    off by `noise`.
    """
    over = _independent(q, requests, runs, excess, noise)
    return count_rows(np.sort(over, axis=1), lambda row: _inside(row, Asked(q, requests)))


def whole_gate_differs(q: float, requests: int, runs: int) -> int:
    """Count runs of which the whole gate says otherwise than the rule that is simulated above."""
    asked = Asked(q, requests)
    rows = np.sort(_independent(q, requests, runs, 0.0, ROUND_NOISE), axis=1)
    return count_rows(rows, lambda row: _whole_gate(row, asked) != _inside(row, asked))


def noisy_budget_accepts(q: float, requests: int, runs: int, noise: Noise) -> int:
    """Count accepted runs where a typical round's own q-quantile is the budget.

    Rounds differ by ROUND_NOISE, and inside a round requests hang together as `noise` says.
    """
    asked = Asked(q, requests)
    return _noisy_accepts(asked, runs, noise, _typical(asked, noise))


def longer_run_accepts(q: float, requests: int, runs: int, noise: Noise) -> int:
    """The same where the budget is the q-quantile of all requests over a long time.

    The gate does not claim this: bursts that are rarer than rounds are met by luck only.
    """
    asked = Asked(q, requests)
    return _noisy_accepts(asked, runs, noise, _overall(asked, noise))


def memory_accepts(runs: int, *, noise: float) -> int:
    """Count accepted runs where the peak of a typical process is the budget itself."""
    random = np.random.default_rng([29, runs])
    limit = 100e6
    peaks = limit * np.exp(noise * random.standard_normal((runs, ROUNDS)))
    budget = Budget(metric="memory_peak", limit=limit)
    trials = (_trial([(0.001,)] * ROUNDS, row) for row in peaks.astype(int).tolist())
    return sum(_accepted(budget, trial) for trial in trials)


def relative_accepts(true_ratio: float, margin: float, runs: int, *, noise: float) -> int:
    """Count runs in which B, `true_ratio` times A, is accepted within the margin."""
    random = np.random.default_rng([13, runs, round(1_000 * margin)])
    ratios = np.log(true_ratio) + _even(random, runs, noise)
    return _relative_inside(ratios, margin)


def disturbed_accepts(true_ratio: float, margin: float, runs: int) -> int:
    """The same where one round in twenty is disturbed in one of its arms, by 30 % on average."""
    random = np.random.default_rng([31, runs, round(1_000 * margin)])
    shape = (2, runs, LOOKS[-1].rounds)
    hits = random.exponential(_HIT_SIZE, shape) * (random.random(shape) < _HIT_SHARE / 2)
    ratios = np.log(true_ratio) + _even(random, runs, ROUND_NOISE) + hits[0] - hits[1]
    return _relative_inside(ratios, margin)


def drifting_accepts(true_ratio: float, margin: float, runs: int) -> int:
    """The same on a machine whose speed drifts: arms in turns AB BA, each at its own moment."""
    random = np.random.default_rng([37, runs, round(1_000 * margin)])
    rounds = LOOKS[-1].rounds
    speed = _autoregressive(random, (runs, 1, 2 * rounds), _STEP_KEEP)[:, 0] * 2 * ROUND_NOISE
    pairs = speed.reshape(runs, rounds, 2)
    turns = np.where(np.arange(rounds) % 2 == 0, 1.0, -1.0)
    ratios = np.log(true_ratio) + turns * (pairs[..., 1] - pairs[..., 0])
    return _relative_inside(ratios + _even(random, runs, 0.01), margin)


def compare_outcomes(
    true_ratio: float, margin: float, runs: int, *, noise: float
) -> Counter[Change]:
    """Count what `compare` says of the latency of a new bundle that is `true_ratio` times the old.

    Rounds go on until a look settles it, at most to the last look.
    """
    random = np.random.default_rng([19, runs, round(1_000 * true_ratio)])
    ratios = np.log(true_ratio) + _even(random, runs, noise)
    return Counter(relative_change(judge_relative(run, margin)) for run in ratios.tolist())


def count_rows(rows: Counts, accepts: Callable[[list[int]], bool]) -> int:
    """Count the rows that are accepted, asking once for each distinct row."""
    distinct, counts = np.unique(rows, axis=0, return_counts=True)
    answers = zip(distinct.tolist(), counts.tolist(), strict=True)
    return sum(count for row, count in answers if accepts(row))


def _even(random: np.random.Generator, runs: int, noise: float) -> Floats:
    """Log ratios of two equal arms, each off by `noise` in every round."""
    arms: Floats = noise * random.standard_normal((2, runs, LOOKS[-1].rounds))
    ratios: Floats = arms[0] - arms[1]
    return ratios


def _relative_inside(ratios: Floats, margin: float) -> int:
    judged = (judge_relative(run, margin).standing for run in ratios.tolist())
    return sum(standing is Standing.INSIDE for standing in judged)


def _independent(q: float, requests: int, runs: int, excess: float, noise: float) -> Counts:
    """Requests over the budget, one row a run and one column a round."""
    random = np.random.default_rng([11, runs])
    level = np.log1p(excess) + noise * random.standard_normal((runs, ROUNDS))
    reach = NormalDist().inv_cdf(q) - level / REQUEST_NOISE
    cdf = np.vectorize(NormalDist().cdf)(reach)
    over: Counts = random.binomial(requests, 1.0 - cdf)
    return over


def _inside(over: list[int], asked: Asked) -> bool:
    judged = judge_rounds(over, [asked.requests] * len(over), asked.q)
    return judged.standing is Standing.INSIDE


def _whole_gate(over: list[int], asked: Asked) -> bool:
    """What core/gate.py says of a trial with so many requests over the budget in each round."""
    budget = Budget(metric=f"latency_p{100 * asked.q:g}", limit=_LIMIT_S)
    slow, fast = 2 * _LIMIT_S, _LIMIT_S / 2
    rounds = [(slow,) * n + (fast,) * (asked.requests - n) for n in over]
    return _accepted(budget, _trial(rounds, [1] * len(over)))


def _accepted(budget: Budget, trial: Trial) -> bool:
    verdict = judge("simulated", [budget], Findings(artifact=trial.artifact, latency=trial))
    return verdict.outcome is Outcome.ACCEPTED


def _trial(rounds: list[tuple[float, ...]], peaks: list[int]) -> Trial:
    return Trial(
        artifact="simulated",
        machine=MACHINE,
        evidence=Evidence.TARGET,
        threads=1,
        batch=1,
        rounds=tuple(
            Round(
                load_s=0.0,
                first_s=0.0,
                warmup_s=(),
                steady=True,
                samples_s=samples,
                peak_rss_bytes=peak,
                base_rss_bytes=0,
                conditions=Conditions(),
            )
            for samples, peak in zip(rounds, peaks, strict=True)
        ),
    )


def _noisy_accepts(asked: Asked, runs: int, noise: Noise, limit: float) -> int:
    over = np.concatenate([(block > limit).sum(axis=2) for block in _blocks(asked, runs, noise)])
    return count_rows(np.sort(over, axis=1), lambda row: _inside(row, asked))


@lru_cache
def _typical(asked: Asked, noise: Noise) -> float:
    """The median over rounds of a round's own quantile, as the gate ranks it."""
    rank = int(np.ceil(asked.q * asked.requests - 1e-9)) - 1
    blocks = _blocks(asked, _REFERENCE_ROUNDS // ROUNDS, noise, seed=41)
    return float(np.median(np.concatenate([np.sort(b, axis=2)[..., rank].ravel() for b in blocks])))


@lru_cache
def _overall(asked: Asked, noise: Noise) -> float:
    """The quantile of all requests of very many rounds."""
    blocks = _blocks(asked, _REFERENCE_ROUNDS // ROUNDS, noise, seed=43)
    return float(np.quantile(np.concatenate([b.ravel() for b in blocks]), asked.q))


def _blocks(asked: Asked, runs: int, noise: Noise, seed: int = 47) -> Iterator[Floats]:
    """Logarithms of latencies, `[runs, rounds, requests]`, in blocks that fit into memory."""
    random = np.random.default_rng([seed, runs, asked.requests])
    for start in range(0, runs, _CHUNK):
        shape = (min(_CHUNK, runs - start), ROUNDS, asked.requests)
        keep = _KEEP if noise is Noise.CORRELATED else 0.0
        requests = REQUEST_NOISE * _autoregressive(random, shape, keep)
        if noise is Noise.BURSTS:
            requests += np.log(_BURST_FACTOR) * _bursts(random, shape)
        yield requests + ROUND_NOISE * random.standard_normal((*shape[:2], 1))


def _autoregressive(
    random: np.random.Generator, shape: tuple[int, int, int], keep: float
) -> Floats:
    """Standard normal values that keep this much of the one before, along the last axis."""
    values = random.standard_normal(shape)
    fresh = np.sqrt(1.0 - keep * keep)
    for at in range(1, shape[2] if keep else 0):
        values[..., at] = keep * values[..., at - 1] + fresh * values[..., at]
    return values


def _bursts(random: np.random.Generator, shape: tuple[int, int, int]) -> npt.NDArray[np.bool_]:
    """Whether each request falls into a burst: a Markov chain in its steady state."""
    end = 1.0 / _BURST_LENGTH
    begin = end * _BURST_SHARE / (1.0 - _BURST_SHARE)
    lot = random.random(shape)
    inside = np.empty(shape, dtype=np.bool_)
    inside[..., 0] = lot[..., 0] < _BURST_SHARE
    for at in range(1, shape[2]):
        inside[..., at] = np.where(inside[..., at - 1], lot[..., at] >= end, lot[..., at] < begin)
    return inside
