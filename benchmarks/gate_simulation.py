"""How often is the gate wrong? Its own functions, on simulated clocks, graders and backends.

    python -m benchmarks.gate_simulation [RUNS]     a Markdown table on stdout, one row a question
    python -m benchmarks.gate_simulation --write    the same of 10 000 runs, into docs/gate.md

No real timing is involved, and every seed is fixed. Exit 1 where a row is not as it must be. The
tests import the rows from here.
"""

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.gate_backends import CHEATS, Honest, backend_accepts
from benchmarks.gate_clocks import (
    ROUND_NOISE,
    ROUNDS,
    Noise,
    budget_accepts,
    compare_outcomes,
    disturbed_accepts,
    drifting_accepts,
    longer_run_accepts,
    memory_accepts,
    noisy_budget_accepts,
    relative_accepts,
    whole_gate_differs,
)
from benchmarks.gate_graders import (
    FAMILY,
    POINT,
    accuracy_accepts,
    family_accepts,
    planned,
    point_rule_accepts,
)
from benchmarks.gate_texts import (
    HEAVY_TEXTS,
    USUAL_TEXTS,
    agreement_accepts,
    plain_t_accepts,
    score_accepts,
)
from deployopt.core.comparison import Change

RUNS: Final = 10_000
ALPHA: Final = 0.05
DEVIATIONS: Final = 2.753
"""Above 5 %, so that of 10 000 runs 5.6 % are allowed, and of fewer what is as likely."""
BACKEND_SHARE: Final = 10
"""A run of a backend is five whole rounds: so many times fewer of them are made."""
DISCORDANCES: Final = (0.02, 0.04, 0.08)
DOCS: Final = Path(__file__).parent.parent / "docs" / "gate.md"
BEGIN: Final = "<!-- written by: python -m benchmarks.gate_simulation --write -->"
END: Final = "<!-- end -->"


class Allowed(NamedTuple):
    """How many hits of so many runs a row may have; the words are for people."""

    words: str
    most: Callable[[int], float] = float
    least: Callable[[int], float] = lambda _: 0.0


NOMINAL: Final = Allowed(
    "≤ 5.6 %", lambda runs: ALPHA * runs + DEVIATIONS * (runs * ALPHA * (1 - ALPHA)) ** 0.5
)
NONE: Final = Allowed("none", lambda _: 0.0)
RARE: Final = Allowed("≤ 3 in 10 000", lambda runs: 3e-4 * runs)
SELDOM: Final = Allowed("≤ 1 %", lambda runs: 0.01 * runs)
USUAL: Final = Allowed("≥ 95 %", least=lambda runs: 0.95 * runs)
PLANNED: Final = Allowed("90 % planned", least=lambda runs: 0.87 * runs)
ALL: Final = Allowed("all", least=float)
CONTRAST: Final = Allowed("(contrast)")


class Question(NamedTuple):
    """One row: words, how to count the runs that say yes, and how many may or must."""

    words: str
    hits: Callable[[int], int]
    allowed: Allowed
    share: int = 1
    """So many times fewer runs are made."""


class Row(NamedTuple):
    """A question with its answer."""

    question: str
    hits: int
    runs: int
    allowed: Allowed

    @property
    def holds(self) -> bool:
        """Whether the answer is an allowed one."""
        return self.allowed.least(self.runs) <= self.hits <= self.allowed.most(self.runs)


def questions() -> list[Question]:
    """All of them, in the order of the table."""
    return [
        *_about_budgets(),
        *_about_noise(),
        *_about_ratios(),
        *_about_comparing(),
        *_about_losses(),
        *_about_texts(),
        *_about_backends(),
    ]


def answered(question: Question, runs: int) -> Row:
    """Simulate the runs of one question."""
    made = max(1, runs // question.share)
    return Row(question.words, question.hits(made), made, question.allowed)


def _about_budgets() -> Iterator[Question]:
    for q, requests in ((0.5, 20), (0.9, 60), (0.95, 60), (0.99, 299)):
        for noise in (0.0, ROUND_NOISE):
            yield Question(
                f"p{100 * q:g} at the budget, {ROUNDS} rounds of {requests} requests, "
                f"{100 * noise:g} % round noise: accepted",
                partial(budget_accepts, q, requests, noise=noise),
                NOMINAL,
            )
    for excess, words, allowed in ((0.1, "10 % over", NONE), (-0.15, "15 % under", USUAL)):
        yield Question(
            f"p95 {words} its budget, 4.3 % round noise: accepted",
            partial(budget_accepts, 0.95, 60, excess=excess, noise=ROUND_NOISE),
            allowed,
        )
    yield Question(
        "p95 at the budget: the whole gate says otherwise than its rule",
        partial(whole_gate_differs, 0.95, 60),
        NONE,
    )
    yield Question(
        f"peak memory of {ROUNDS} processes around the budget: accepted",
        partial(memory_accepts, noise=0.01),
        NOMINAL,
    )


def _about_noise() -> Iterator[Question]:
    for q, requests in ((0.5, 60), (0.95, 60), (0.99, 299)):
        for noise in (Noise.CORRELATED, Noise.BURSTS):
            yield Question(
                f"a typical round's p{100 * q:g} at the budget, {requests} requests, "
                f"{noise.value}: accepted",
                partial(noisy_budget_accepts, q, requests, noise=noise),
                NOMINAL,
            )
    for noise in Noise:
        yield Question(
            f"p95 of a long time at the budget, 60 requests, {noise.value}: accepted",
            partial(longer_run_accepts, 0.95, 60, noise=noise),
            CONTRAST,
        )


def _about_ratios() -> Iterator[Question]:
    for ratio, margin, words, allowed in (
        (1.05, 0.05, "5 % slower, margin 5 %: accepted", NOMINAL),
        (1.10, 0.05, "10 % slower, margin 5 %: accepted", NONE),
        (1.00, 0.05, "A/A, margin 5 %: accepted", USUAL),
        (1.00, 0.00, "A/A: called faster", NOMINAL),
    ):
        yield Question(words, partial(relative_accepts, ratio, margin, noise=ROUND_NOISE), allowed)
    yield Question(
        "5 % slower, margin 5 %, one round in 20 disturbed in one arm: accepted",
        partial(disturbed_accepts, 1.05, 0.05),
        NOMINAL,
    )
    yield Question(
        "5 % slower, margin 5 %, on a machine that drifts: accepted",
        partial(drifting_accepts, 1.05, 0.05),
        NOMINAL,
    )


def _about_comparing() -> Iterator[Question]:
    about = "compare, margin 5 %, 4.3 % round noise"
    for ratio, words, change, allowed in (
        (1.00, "A/A: regressed", Change.REGRESSED, NONE),
        (1.00, "A/A: undecided", Change.UNDECIDED, SELDOM),
        (1.00, "A/A: called faster", Change.BETTER, NOMINAL),
        (1.05, "5 % slower: no worse", Change.NO_WORSE, NOMINAL),
        (1.05, "5 % slower: regressed", Change.REGRESSED, NOMINAL),
        (1.10, "10 % slower: no worse", Change.NO_WORSE, NONE),
        (1.10, "10 % slower: regressed", Change.REGRESSED, USUAL),
        (1.15, "15 % slower: regressed", Change.REGRESSED, ALL),
    ):
        yield Question(f"{about}, {words}", partial(_compared, ratio, change), allowed)


def _compared(ratio: float, change: Change, runs: int) -> int:
    return compare_outcomes(ratio, 0.05, runs, noise=ROUND_NOISE)[change]


def _about_losses() -> Iterator[Question]:
    for share in DISCORDANCES:
        about = f"discordance {100 * share:g} %, n = {planned(share)} as planned"
        for loss, words, allowed in (
            (POINT, "loss 1 pt", NOMINAL),
            (0.0, "loss 0", PLANNED),
            (2 * POINT, "loss 2 pt", RARE),
        ):
            yield Question(
                f"{words}, budget 1 pt, {about}: accepted",
                partial(accuracy_accepts, loss, share),
                allowed,
            )
        yield Question(
            f"loss 1 pt, {about}: accepted by a point rule",
            partial(point_rule_accepts, POINT, share),
            CONTRAST,
        )
        yield Question(
            f"{FAMILY} candidates at the budget, {about}: any accepted",
            partial(family_accepts, share),
            NOMINAL,
        )


def _about_texts() -> Iterator[Question]:
    for documents in (24, 128):
        for texts, lost in ((USUAL_TEXTS, "skewed losses"), (HEAVY_TEXTS, "a few lose most")):
            about = f"budget 2 %, {documents} documents, {lost}"
            at = partial(score_accepts, texts, documents)
            yield Question(f"NLL 2 % up, {about}: accepted", at, NOMINAL)
            plain = partial(plain_t_accepts, texts, documents)
            yield Question(f"NLL 2 % up, {about}: accepted by a plain t bound", plain, CONTRAST)
            for increase, words, allowed in ((0.005, "0.5 %", USUAL), (0.04, "4 %", RARE)):
                accepts = partial(score_accepts, texts, documents, increase=increase)
                yield Question(f"NLL {words} up, {about}: accepted", accepts, allowed)
    for prompts in (24, 32, 128):
        for shape, differ in ((20.0, "alike"), (1.0, "a few differ most")):
            words = f"95 % of tokens agree, budget 95 %, {prompts} prompts, {differ}: accepted"
            yield Question(words, partial(agreement_accepts, shape, prompts), NOMINAL)
    yield Question(
        "99 % of tokens agree, budget 95 %, 128 prompts, alike: accepted",
        partial(agreement_accepts, 20.0, 128, agreement=0.99),
        USUAL,
    )


def _about_backends() -> Iterator[Question]:
    honest = partial(backend_accepts, Honest)
    yield Question("an honest backend: accepted", honest, ALL, BACKEND_SHARE)
    for name, backend in CHEATS.items():
        accepts = partial(backend_accepts, backend)
        yield Question(f"a backend that cheats, {name}: accepted", accepts, NONE, BACKEND_SHARE)


def table(rows: list[Row]) -> str:
    """The rows as Markdown."""
    lines = ["| question | runs | yes | share | allowed |", "|---|---|---|---|---|"]
    for row in rows:
        share = f"{100.0 * row.hits / row.runs:.2f} %"
        lines.append(
            f"| {row.question} | {row.runs} | {row.hits} | {share} | {row.allowed.words} |"
        )
    return "\n".join(lines)


def written(text: str, page: str) -> str:
    """The page with the table between its two marks."""
    before, _, rest = page.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError("the page has no place for the table")
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"


def main(arguments: list[str]) -> int:
    """Print or write the table."""
    write = arguments == ["--write"]
    runs = int(arguments[0]) if arguments and not write else RUNS
    rows = []
    for question in questions():
        print(question.words, file=sys.stderr)
        rows.append(answered(question, runs))
    if write:
        DOCS.write_text(written(table(rows), DOCS.read_text("utf-8")), "utf-8")
    else:
        print(table(rows))
    wrong = [row.question for row in rows if not row.holds]
    for words in wrong:
        print(f"NOT AS IT MUST BE: {words}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
