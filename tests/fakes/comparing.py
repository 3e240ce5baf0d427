"""Comparisons as `compare` would find them, from simulated rounds and the real judgement."""

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from deployopt.core.answers import AnswerTimes
from deployopt.core.artifact import Precision
from deployopt.core.comparison import Compared, Comparison, FailOn, Margins
from deployopt.core.evidence import Evidence
from deployopt.core.measurement import AccuracyTrial, Conditions, Round, Split, Trial
from deployopt.core.regression import (
    accuracy_difference,
    latency_difference,
    memory_difference,
    outcome_of,
    refusals_of,
    round_pairs,
    size_difference,
)
from deployopt.core.result import CompareResult, StageTime
from deployopt.core.told_differences import operator_difference, precision_difference
from deployopt.core.verdict import Outcome
from tests.fakes.results import MACHINE

MIB: Final = 2**20
_RATIOS: Final = {Outcome.ACCEPTED: 1.0, Outcome.REJECTED: 1.12, Outcome.UNDECIDED: 1.05}


def one_round(
    median_s: float, peak_bytes: int = 90 * MIB, void: str | None = None, requests: int = 3
) -> Round:
    """A round whose requests all took the same time."""
    return Round(
        load_s=0.1,
        first_s=median_s,
        warmup_s=(median_s,),
        steady=True,
        samples_s=(median_s,) * requests,
        peak_rss_bytes=peak_bytes,
        base_rss_bytes=30 * MIB,
        conditions=Conditions(),
        void=void,
    )


def answer_round(median_s: float, tokens: int = 5, peak_bytes: int = 90 * MIB) -> Round:
    """Of a language model: a fifth of each answer is its first token."""
    first_s, token_s = 0.2 * median_s, 0.8 * median_s / (tokens - 1)
    times = AnswerTimes(
        prompt_tokens=(10,) * 3,
        answer_tokens=(tokens,) * 3,
        first_token_s=(first_s,) * 3,
        token_s=(token_s,) * (3 * (tokens - 1)),
    )
    return msgspec.structs.replace(one_round(median_s, peak_bytes), answers=times)


def answer_pair(
    ratio: float, *, noise: float = 0.02, rounds: int = 24, memory: float = 1.0
) -> tuple[Trial, Trial]:
    """As `pair`, of two language models."""
    chance = np.random.default_rng(1)
    arms = []
    for factor, peak in ((1.0, 1.0), (ratio, memory)):
        levels = 0.01 * factor * np.exp(noise * chance.standard_normal(rounds))
        peaks = 90 * MIB * peak * np.exp(0.003 * chance.standard_normal(rounds))
        arms.append(
            trial(
                [
                    answer_round(s, peak_bytes=int(p))
                    for s, p in zip(levels.tolist(), peaks, strict=True)
                ]
            )
        )
    return arms[0], arms[1]


def trial(rounds: Sequence[Round], failure: str | None = None, *, proxy: bool = False) -> Trial:
    """They, of one artifact."""
    return Trial(
        artifact="a" * 64,
        machine=MACHINE,
        evidence=Evidence.PROXY if proxy else Evidence.TARGET,
        threads=1,
        batch=1,
        rounds=tuple(rounds),
        failure=failure,
    )


def pair(
    ratio: float, *, noise: float = 0.02, rounds: int = 24, seed: int = 1, memory: float = 1.0
) -> tuple[Trial, Trial]:
    """Interleaved rounds of an old one and of a new one that takes `ratio` times as long."""
    chance = np.random.default_rng(seed)
    arms = []
    for factor, peak in ((1.0, 1.0), (ratio, memory)):
        levels = 0.01 * factor * np.exp(noise * chance.standard_normal(rounds))
        peaks = 90 * MIB * peak * np.exp(0.003 * chance.standard_normal(rounds))
        arms.append(
            trial([one_round(s, int(p)) for s, p in zip(levels.tolist(), peaks, strict=True)])
        )
    return arms[0], arms[1]


def answers(
    lost: int, gained: int, examples: int = 3000, *, non_finite: int = 0, synthetic: bool = False
) -> AccuracyTrial:
    """The new one's beside the old one's."""
    return AccuracyTrial(
        artifact="a" * 64,
        split=Split.GATE,
        evidence=Evidence.TARGET,
        labelled=True,
        examples=examples,
        both_right=examples - lost - gained - examples // 10,
        lost=lost,
        gained=gained,
        both_wrong=examples // 10,
        non_finite=non_finite,
        synthetic=synthetic,
    )


def side(name: str, bundle: str | None = None, precision: Precision = Precision.INT8) -> Compared:
    """One of the two."""
    return Compared(
        name=name,
        bundle=bundle or f"/home/ada/bundles/{name}",
        artifact="a" * 64,
        target="rpi4",
        outcome="accepted",
        precision=precision,
        runtime="onnxruntime",
        size_bytes=20 * MIB,
    )


def comparison(
    outcome: Outcome = Outcome.ACCEPTED,
    *,
    notes: tuple[str, ...] = (),
    mismatch: str | None = None,
    name: str = "demo",
) -> Comparison:
    """Of this outcome, by its latency."""
    old, new = pair(_RATIOS[outcome], rounds=48 if outcome is Outcome.UNDECIDED else 24)
    accuracy, margins = answers(30, 33), Margins()
    differences = (
        latency_difference(old, new, margins.cost),
        accuracy_difference(accuracy, margins.accuracy),
        memory_difference(old, new, margins.cost),
        size_difference(20 * MIB, 19 * MIB, margins.cost),
        precision_difference("fp32", "int8"),
        operator_difference({"MatMul": 10, "Add": 4}, {"MatMul": 12, "Add": 4, "Mul": 1}),
    )
    assert outcome_of(differences) is outcome
    return Comparison(
        old=side(f"{name}-old", precision=Precision.FP32),
        new=side(f"{name}-new"),
        outcome=outcome,
        differences=differences,
        reasons=refusals_of(accuracy, new),
        notes=notes,
        margins=margins,
        machine=MACHINE,
        where="this machine",
        mismatch=mismatch,
        rounds=round_pairs(old, new),
    )


def result(
    outcome: Outcome = Outcome.ACCEPTED, fail_on: FailOn = FailOn.UNDECIDED
) -> CompareResult:
    """The command's."""
    found = comparison(outcome)
    return CompareResult(
        comparison=found,
        fail_on=fail_on,
        stages=(StageTime(stage="Latency, one beside the other", seconds=81.2),),
        exit_code=found.exit_code(fail_on),
    )


def crashed(outcome: Outcome = Outcome.REJECTED) -> Comparison:
    """One whose new bundle answered with what is no number."""
    accuracy = answers(0, 0, non_finite=4)
    old, new = pair(1.0)
    return msgspec.structs.replace(
        comparison(),
        outcome=outcome,
        reasons=refusals_of(accuracy, new),
        rounds=round_pairs(old, new),
    )
