"""Results of a language model as a pipeline would give them, and the trials that they come from."""

from typing import Final

import msgspec
import numpy as np

from deployopt.core.answer_settings import (
    AnswerSetting,
    SettingSummary,
    SettingTrial,
    setting_summary,
)
from deployopt.core.answers import AnswerTimes
from deployopt.core.artifact import Precision
from deployopt.core.budget import Budget, parse_budget
from deployopt.core.evidence import Estimate, Evidence
from deployopt.core.gate import Findings, judge
from deployopt.core.language_summaries import generation_summary, score_summary
from deployopt.core.measurement import Conditions, Round, Split, Trial
from deployopt.core.plan import Forecast
from deployopt.core.result import (
    BuildResult,
    CandidateResult,
    DataSummary,
    PlanSummary,
    StageTime,
    StepResult,
    VerifyResult,
)
from deployopt.core.scores import AnswerScore, DocumentScore, ScoreTrial
from deployopt.core.summaries import latency_summary, memory_figure, size_figure
from tests.fakes.results import DIGEST, MACHINE, failed

BUDGETS: Final[tuple[Budget, ...]] = (
    parse_budget("agreement", "90 %"),
    parse_budget("decode_tps_min", "40"),
    parse_budget("memory_peak", "768 MiB"),
    parse_budget("nll_increase", "2 %"),
    parse_budget("ttft_p95", "250 ms"),
)
ANSWER: Final = 32
_PROMPTS: Final = 16


def answer_times(first_s: float, token_s: float, seed: int = 0) -> AnswerTimes:
    """Sixteen answers of one round."""
    chance = np.random.default_rng([5, seed])
    firsts = first_s * chance.lognormal(0.0, 0.05, _PROMPTS)
    steps = token_s * chance.lognormal(0.0, 0.08, _PROMPTS * (ANSWER - 1))
    return AnswerTimes(
        prompt_tokens=tuple(40 + k for k in range(_PROMPTS)),
        answer_tokens=(ANSWER,) * _PROMPTS,
        first_token_s=tuple(firsts.tolist()),
        token_s=tuple(steps.tolist()),
    )


def answered_trial(
    first_s: float, token_s: float, *, rounds: int = 12, proxy: bool = False, peak: int = 300
) -> Trial:
    """Rounds of answers; the fourth is void."""
    made = []
    for k in range(rounds):
        times = answer_times(first_s, token_s, k)
        whole = zip(times.first_token_s, times.of_answers(), strict=True)
        made.append(
            Round(
                load_s=0.4,
                first_s=first_s,
                warmup_s=(first_s,),
                steady=True,
                samples_s=tuple(first + sum(rest) for first, rest in whole),
                peak_rss_bytes=(peak << 20) + 65536 * k,
                base_rss_bytes=90 << 20,
                conditions=Conditions(load1=1.1),
                answers=times,
                void="steal 12 % of the time" if k == 3 else None,
            )
        )
    return Trial(
        artifact=DIGEST,
        machine=MACHINE,
        evidence=Evidence.PROXY if proxy else Evidence.TARGET,
        threads=2,
        batch=1,
        rounds=tuple(made),
    )


def scored_trial(
    increase: float = 0.006,
    *,
    documents: int = 128,
    disagree: float = 0.03,
    split: Split = Split.GATE,
    **changes: object,
) -> ScoreTrial:
    """Documents of some hundred tokens that got worse by about `increase`, and prompts."""
    chance = np.random.default_rng([7, documents])
    tokens = chance.integers(60, 256, documents)
    reference = tokens * 3.1 * chance.lognormal(0.0, 0.25, documents)
    candidate = reference * (1.0 + increase * chance.lognormal(-0.1, 0.4, documents))
    apart = chance.binomial(64, disagree, documents // 4)
    made = ScoreTrial(
        artifact=DIGEST,
        split=split,
        evidence=Evidence.TARGET,
        documents=tuple(
            DocumentScore(tokens=int(n), reference_nll=float(one), candidate_nll=float(other))
            for n, one, other in zip(tokens, reference, candidate, strict=True)
        ),
        answers=tuple(AnswerScore(tokens=64, agreed=64 - int(n)) for n in apart),
        full_context_rss_bytes=420 << 20,
    )
    return msgspec.structs.replace(made, **changes)


def language_candidate(
    name: str,
    times: tuple[float, float],
    increase: float,
    *,
    place: int = 0,
    chosen: bool = False,
    proxy: bool = False,
) -> CandidateResult:
    """A form of a decoder that ran as one of four arms."""
    trial = answered_trial(*times, proxy=proxy)
    base = None if name == "float" else answered_trial(0.180, 0.0402, proxy=proxy)
    scores = scored_trial(increase, documents=24, split=Split.SEARCH)
    if proxy:
        scores = msgspec.structs.replace(scores, evidence=Evidence.PROXY)
    per_token = times[1]
    return CandidateResult(
        recipe=name,
        reason="The plain float decoder." if base is None else "Weights in fewer bits.",
        artifact=DIGEST,
        precision={"float": Precision.FP32, "int8": Precision.INT8}.get(name, Precision.INT4),
        steps=(StepResult(name="export-decoder", seconds=21.4, reused=place > 0),),
        predicted={
            "decode_tps_min": Estimate(
                value=1.1 / per_token, lower=0.7 / per_token, upper=1.6 / per_token, basis="by hand"
            )
        },
        scores=score_summary(scores),
        latency=latency_summary(trial, 0.95, base=base, arm=place, arms=4),
        generation=generation_summary(trial, base=base),
        memory=memory_figure(trial, scores),
        size=size_figure((515 if base is None else 130) << 20),
        chosen=chosen,
        why="2.51 x as fast as the float one." if chosen else "something else is faster",
    )


def language_settings(*, proxy: bool = False) -> tuple[SettingSummary, ...]:
    """Short and full prompts, two at a time, and one batch that there was no memory for."""
    short = AnswerSetting(name="short", prompt_tokens=64, answer_tokens=ANSWER)
    full = AnswerSetting(name="full", prompt_tokens=2016, answer_tokens=ANSWER)
    pair, eight = (msgspec.structs.replace(short, batch=size) for size in (2, 8))
    evidence = Evidence.PROXY if proxy else Evidence.TARGET
    predicted = {
        "ttft_s": Estimate(value=0.1, lower=0.048, upper=0.3, basis="by hand"),
        "decode_tps": Estimate(value=100.0, lower=35.0, upper=220.0, basis="by hand"),
        "memory_peak": Estimate(value=3e8, lower=2.6e8, upper=4e8, basis="by hand"),
    }
    plain = answered_trial(0.082, 0.0189).rounds[0]
    apart = msgspec.structs.replace(plain, compared=64, mismatched=48, energy_j=3.2)
    trials = (
        SettingTrial(setting=short, round=msgspec.structs.replace(plain, energy_j=2.4)),
        SettingTrial(setting=full, round=msgspec.structs.replace(plain, void="steal 12 %")),
        SettingTrial(setting=pair, round=apart),
        SettingTrial(setting=eight, left_out="it may take 4 GiB, which is more than is free"),
    )
    return tuple(setting_summary(one, evidence, predicted) for one in trials)


def language_build(*, proxy: bool = False, budgets: tuple[Budget, ...] = BUDGETS) -> BuildResult:
    """A build that tried four forms, of which one failed."""
    found = (
        language_candidate("float", (0.180, 0.0402), 0.0001, proxy=proxy),
        language_candidate("int8", (0.082, 0.0189), 0.006, place=1, chosen=True, proxy=proxy),
        language_candidate("int4, k-quant", (0.205, 0.0166), 0.031, place=2, proxy=proxy),
        failed("int4"),
    )
    trial, scores = answered_trial(0.082, 0.0189, proxy=proxy), scored_trial()
    verdict = judge(
        "x86-cpu",
        budgets,
        Findings(
            artifact=DIGEST,
            latency=trial,
            scores=scores,
            size_bytes=130 << 20,
            predictions=found[1].predicted,
        ),
    )
    return BuildResult(
        target="x86-cpu",
        target_title="x86-64 machine, 2 threads",
        model="demo-chat",
        budgets=budgets,
        plan=PlanSummary(
            fits=True,
            fit_reason="fp32 needs 690 MiB of the 3 GiB usable.",
            forecasts=tuple(
                Forecast(recipe=c.recipe, reason=c.reason, estimates=c.predicted) for c in found
            ),
        ),
        candidates=found,
        gate_scores=score_summary(scores),
        settings=language_settings(proxy=proxy),
        verdict=verdict,
        bundle="/home/ada/bundles/demo-chat-x86-cpu",
        bundle_digest=DIGEST,
        machine=MACHINE,
        data=DataSummary(
            name="held text",
            labelled=False,
            splits={"search": 24, "gate": 128},
            notes=("The reference itself comes from 4-bit weights.",),
        ),
        stages=(StageTime(stage="answers", seconds=48.1),),
        exit_code=int(verdict.exit_code()),
    )


def language_verify() -> VerifyResult:
    """A verification of it on the device itself."""
    build, trial, scores = language_build(), answered_trial(0.082, 0.0189), scored_trial()
    if build.verdict is None:
        raise ValueError("the made-up build was judged")
    return VerifyResult(
        bundle="/home/ada/bundles/demo-chat-x86-cpu",
        bundle_digest=DIGEST,
        name="demo-chat",
        target="x86-cpu",
        on_target=True,
        budgets=BUDGETS,
        verdict=build.verdict,
        machine=MACHINE,
        scores=score_summary(scores),
        latency=latency_summary(trial, 0.95),
        generation=generation_summary(trial),
        memory=memory_figure(trial, scores),
        size=size_figure(130 << 20),
        exit_code=build.exit_code,
    )
