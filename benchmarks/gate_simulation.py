"""How often is the gate wrong? Its own functions, on simulated clocks and simulated graders.

Run `python -m benchmarks.gate_simulation [RUNS]` from the repository's root: a Markdown table on
stdout, one row a question. No real timing is involved, and every seed is fixed. The tests import
the scenarios from here.
"""

import sys
from collections import Counter
from collections.abc import Callable
from statistics import NormalDist
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from deployopt.core.comparison import Change
from deployopt.core.multiplicity import accepted_in_sequence
from deployopt.core.paired import loss_p_value, loss_upper
from deployopt.core.quantiles import judge_rounds
from deployopt.core.regression import relative_change
from deployopt.core.relative import LOOKS, judge_relative
from deployopt.core.sample_size import examples_needed
from deployopt.core.standing import Standing

ALPHA: Final = 0.05
ROUND_NOISE: Final = 0.043
REQUEST_NOISE: Final = 0.10
ROUNDS: Final = 5
POINT: Final = 0.01
NOMINAL: Final = "≤ 5.6 %"
FAMILY: Final = 50

Counts = npt.NDArray[np.int64]


class Row(NamedTuple):
    """One question: what was simulated, how many runs said yes, and how many may."""

    question: str
    hits: int
    runs: int
    allowed: str


def budget_accepts(
    q: float, requests: int, runs: int, *, excess: float = 0.0, noise: float = 0.0
) -> int:
    """Count accepted runs where a typical round's q-quantile is `excess` over the budget.

    Requests are log-normal around their round's level, five rounds a run, and a round's level is
    off by `noise`.
    """
    random = np.random.default_rng([11, runs])
    level = np.log1p(excess) + noise * random.standard_normal((runs, ROUNDS))
    reach = NormalDist().inv_cdf(q) - level / REQUEST_NOISE
    cdf = np.vectorize(NormalDist().cdf)(reach)
    over = random.binomial(requests, 1.0 - cdf)
    return _count_rows(
        np.sort(over, axis=1),
        lambda row: judge_rounds(row, [requests] * ROUNDS, q).standing is Standing.INSIDE,
    )


def relative_accepts(true_ratio: float, margin: float, runs: int, *, noise: float) -> int:
    """Count runs in which B, `true_ratio` times A, is accepted within the margin."""
    random = np.random.default_rng([13, runs, round(1_000 * margin)])
    shape = (runs, LOOKS[-1].rounds)
    arms = noise * random.standard_normal((2, *shape))
    ratios = np.log(true_ratio) + arms[0] - arms[1]
    judged = (judge_relative(run, margin).standing for run in ratios.tolist())
    return sum(standing is Standing.INSIDE for standing in judged)


def compare_outcomes(
    true_ratio: float, margin: float, runs: int, *, noise: float
) -> Counter[Change]:
    """Count what `compare` says of the latency of a new bundle that is `true_ratio` times the old.

    Rounds go on until a look settles it, at most to the last look.
    """
    random = np.random.default_rng([19, runs, round(1_000 * true_ratio)])
    shape = (runs, LOOKS[-1].rounds)
    arms = noise * random.standard_normal((2, *shape))
    ratios = np.log(true_ratio) + arms[0] - arms[1]
    return Counter(relative_change(judge_relative(run, margin)) for run in ratios.tolist())


def planned(discordance: float) -> int:
    """Return the examples that a budget of one point needs: power 90 % at no true loss."""
    n = examples_needed(POINT, discordance, power=0.9)
    if n is None:
        raise ValueError("no number of examples certifies the budget")
    return n


def accuracy_accepts(loss: float, discordance: float, runs: int, *, margin: float = POINT) -> int:
    """Count runs in which a candidate of this true loss is accepted within the margin."""
    n = planned(discordance)
    tables = _tables(loss, discordance, runs, n)
    return _count_rows(tables, lambda row: loss_upper(row[0], row[1], n) <= margin)


def point_rule_accepts(loss: float, discordance: float, runs: int) -> int:
    """Count runs in which "observed loss within the margin" would have accepted."""
    n = planned(discordance)
    tables = _tables(loss, discordance, runs, n)
    return int(np.count_nonzero(tables[:, 0] - tables[:, 1] <= POINT * n))


def family_accepts(discordance: float, runs: int) -> int:
    """Count runs in which any of fifty candidates at the margin passes, asked in a sequence."""
    n = planned(discordance)
    tables = _tables(POINT, discordance, runs * FAMILY, n)
    distinct, index = np.unique(tables, axis=0, return_inverse=True)
    p_values = np.array([loss_p_value(b, c, n, POINT) for b, c in distinct.tolist()])
    families = p_values[index.reshape(runs, FAMILY)].tolist()
    return sum(accepted_in_sequence(family, ALPHA) > 0 for family in families)


def _tables(loss: float, discordance: float, runs: int, n: int) -> Counts:
    """Return b and c of each run, one row a run."""
    random = np.random.default_rng([17, runs])
    shares = [0.5 * (discordance + loss), 0.5 * (discordance - loss), 1.0 - discordance]
    return random.multinomial(n, shares, size=runs)[:, :2]


def _count_rows(rows: Counts, accepts: Callable[[list[int]], bool]) -> int:
    """Count the rows that are accepted, asking once for each distinct row."""
    distinct, counts = np.unique(rows, axis=0, return_counts=True)
    answers = zip(distinct.tolist(), counts.tolist(), strict=True)
    return sum(count for row, count in answers if accepts(row))


def latency_rows(runs: int) -> list[Row]:
    """Answer the questions about budgets at a quantile and about relative claims."""
    rows = [
        Row(
            f"p{100 * q:g} at the budget, {ROUNDS} rounds of {requests} requests, "
            f"{100 * noise:g} % round noise: accepted",
            budget_accepts(q, requests, runs, noise=noise),
            runs,
            NOMINAL,
        )
        for q, requests in ((0.9, 60), (0.95, 60), (0.99, 299))
        for noise in (0.0, ROUND_NOISE)
    ]
    rows += [
        Row(
            "p95 10 % over its budget, 4.3 % round noise: accepted",
            budget_accepts(0.95, 60, runs, excess=0.10, noise=ROUND_NOISE),
            runs,
            "none",
        ),
        Row(
            "p95 15 % under its budget, 4.3 % round noise: accepted",
            budget_accepts(0.95, 60, runs, excess=-0.15, noise=ROUND_NOISE),
            runs,
            "≥ 95 %",
        ),
        Row(
            "5 % slower, margin 5 %: accepted",
            relative_accepts(1.05, 0.05, runs, noise=ROUND_NOISE),
            runs,
            NOMINAL,
        ),
        Row(
            "10 % slower, margin 5 %: accepted",
            relative_accepts(1.10, 0.05, runs, noise=ROUND_NOISE),
            runs,
            "0 in 10 000",
        ),
        Row(
            "A/A, margin 5 %: accepted",
            relative_accepts(1.0, 0.05, runs, noise=ROUND_NOISE),
            runs,
            "≥ 95 %",
        ),
        Row(
            "A/A: called faster", relative_accepts(1.0, 0.0, runs, noise=ROUND_NOISE), runs, NOMINAL
        ),
    ]
    return rows


def compare_rows(runs: int) -> list[Row]:
    """Answer the questions about a bundle that is held against an earlier one."""
    about = "compare, margin 5 %, 4.3 % round noise"
    same, limit, twice, more = (
        compare_outcomes(ratio, 0.05, runs, noise=ROUND_NOISE) for ratio in (1.0, 1.05, 1.1, 1.15)
    )
    return [
        Row(f"{about}, A/A: regressed", same[Change.REGRESSED], runs, "none"),
        Row(f"{about}, A/A: undecided", same[Change.UNDECIDED], runs, "≤ 1 %"),
        Row(f"{about}, A/A: called faster", same[Change.BETTER], runs, NOMINAL),
        Row(f"{about}, 5 % slower: no worse", limit[Change.NO_WORSE], runs, NOMINAL),
        Row(f"{about}, 5 % slower: regressed", limit[Change.REGRESSED], runs, NOMINAL),
        Row(f"{about}, 10 % slower: no worse", twice[Change.NO_WORSE], runs, "none"),
        Row(f"{about}, 10 % slower: regressed", twice[Change.REGRESSED], runs, "≥ 95 %"),
        Row(f"{about}, 15 % slower: regressed", more[Change.REGRESSED], runs, "all"),
    ]


def accuracy_rows(runs: int) -> list[Row]:
    """Answer the questions about the loss against the reference."""
    rows: list[Row] = []
    for discordance in (0.02, 0.04, 0.08):
        about = f"discordance {100 * discordance:g} %, n = {planned(discordance)} as planned"
        rows += [
            Row(
                f"loss 1 pt, budget 1 pt, {about}: accepted",
                accuracy_accepts(POINT, discordance, runs),
                runs,
                NOMINAL,
            ),
            Row(
                f"loss 0, budget 1 pt, {about}: accepted",
                accuracy_accepts(0.0, discordance, runs),
                runs,
                "90 % planned",
            ),
            Row(
                f"loss 2 pt, budget 1 pt, {about}: accepted",
                accuracy_accepts(2 * POINT, discordance, runs),
                runs,
                "≤ 3 in 10 000",
            ),
            Row(
                f"loss 1 pt, {about}: accepted by a point rule",
                point_rule_accepts(POINT, discordance, runs),
                runs,
                "(contrast)",
            ),
            Row(
                f"{FAMILY} candidates at the budget, {about}: any accepted",
                family_accepts(discordance, runs),
                runs,
                "≤ 5 %",
            ),
        ]
    return rows


def table(runs: int) -> list[Row]:
    """Answer every question with this many runs."""
    return latency_rows(runs) + compare_rows(runs) + accuracy_rows(runs)


def main() -> None:
    """Print the table."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    print("| question | runs | yes | share | allowed |\n|---|---|---|---|---|")
    for row in table(runs):
        share = 100.0 * row.hits / row.runs
        print(f"| {row.question} | {row.runs} | {row.hits} | {share:.2f} % | {row.allowed} |")


if __name__ == "__main__":
    main()
