"""Results as a pipeline would give them, made from simulated trials and the real summaries."""

from collections.abc import Mapping
from typing import Final, TypeVar, cast

import msgspec
import numpy as np

from deployopt.core.artifact import Precision
from deployopt.core.budget import Budget, parse_budget
from deployopt.core.bundle import FileEntry, Lineage, LineageStep, Origin
from deployopt.core.evidence import Estimate, Evidence
from deployopt.core.measurement import AccuracyTrial, Conditions, Machine, Round, Split, Trial
from deployopt.core.plan import Forecast, Plan
from deployopt.core.result import (
    BuildResult,
    CandidateResult,
    DataSummary,
    PlanResult,
    PlanSummary,
    StageTime,
    StepResult,
    VerifyResult,
)
from deployopt.core.summaries import accuracy_summary, latency_summary, memory_figure, size_figure
from deployopt.core.verdict import Check, Outcome, Verdict
from deployopt.planning.targets import load_target

T = TypeVar("T")
BUDGETS: Final[tuple[Budget, ...]] = (
    parse_budget("accuracy_drop", "1 pt"),
    parse_budget("artifact_size", "80 MiB"),
    parse_budget("latency_p95", "60 ms"),
    parse_budget("memory_peak", "512 MiB"),
)
MACHINE: Final = Machine(
    arch="x86_64",
    cpu="AMD EPYC 9B14",
    isa=("avx2", "avx512f", "avx512_vnni", "amx_int8"),
    cores=2,
    affinity=(0, 1),
    cgroup_cpus=2.0,
    memory_bytes=8 * 2**30,
    governor="performance",
    kernel="6.12.41",
    python="3.11.9",
    packages={"numpy": "2.4.1", "onnxruntime": "1.27.0", "tokenizers": "0.22.2"},
    providers=("CPUExecutionProvider",),
)
PI: Final = Machine(
    arch="aarch64",
    cpu="Cortex-A72",
    board="Raspberry Pi 4 Model B Rev 1.4",
    isa=("asimd",),
    cores=4,
    memory_bytes=4 * 2**30,
    governor="ondemand",
    kernel="6.12.20-v8+",
    python="3.11.2",
    packages={"onnxruntime": "1.27.0"},
    providers=("CPUExecutionProvider",),
)
DIGEST: Final = "3f1c9d2e" * 8


def trial(
    name: str, median_s: float, *, rounds: int = 12, void: int | None = None, proxy: bool = True
) -> Trial:
    """Rounds of log-normal requests around a median, one of them void if asked for."""
    chance = np.random.default_rng(sum(name.encode()))
    made = tuple(
        Round(
            load_s=0.21,
            first_s=3 * median_s,
            warmup_s=(2 * median_s, median_s),
            steady=True,
            samples_s=tuple(
                float(x)
                for x in median_s * chance.lognormal(0.02 * chance.standard_normal(), 0.06, 50)
            ),
            peak_rss_bytes=int((120 + 2200 * median_s) * 2**20) + 65536 * k,
            base_rss_bytes=90 * 2**20,
            conditions=Conditions(load1=1.1),
            void="steal 12 % of the time" if k == void else None,
        )
        for k in range(rounds)
    )
    return Trial(
        artifact=DIGEST,
        machine=MACHINE,
        evidence=Evidence.PROXY if proxy else Evidence.TARGET,
        threads=2,
        batch=1,
        rounds=made,
    )


def accuracy(
    lost: int, gained: int, *, examples: int = 1200, gate: bool = False, labelled: bool = True
) -> AccuracyTrial:
    """A paired trial in which the reference is right on 87 %."""
    right = round(0.87 * examples) if labelled else examples
    return AccuracyTrial(
        artifact=DIGEST,
        split=Split.GATE if gate else Split.SEARCH,
        evidence=Evidence.PROXY,
        labelled=labelled,
        examples=examples,
        both_right=right - lost,
        lost=lost,
        gained=gained,
        both_wrong=examples - right - gained,
    )


def estimate(value: float, spread: float = 0.35) -> Estimate:
    return Estimate(
        value=value,
        lower=value * (1 - spread),
        upper=value * (1 + spread),
        basis="datasheet, no measurement of this device",
    )


def candidate(
    name: str,
    reason: str,
    median_s: float,
    counts: tuple[int, int],
    *,
    place: int = 0,
    arms: int = 2,
    proxy: bool = True,
    labelled: bool = True,
) -> CandidateResult:
    """A candidate that ran; the `place`-th of `arms` interleaved arms."""
    measured = trial(name, median_s, void=3 if name.startswith("int8") else None, proxy=proxy)
    precision = Precision.INT8 if "int8" in name else Precision.FP32
    megabytes = 65.3 if precision is Precision.INT8 else 255.6
    base = trial("float", 0.0381, proxy=proxy)
    return CandidateResult(
        recipe=name,
        reason=reason,
        artifact=DIGEST,
        precision=precision,
        steps=(
            StepResult(name="export", seconds=6.21, reused=place > 0),
            StepResult(name="optimize", seconds=1.94),
            *((StepResult(name="quantize", seconds=2.1),) if precision is Precision.INT8 else ()),
        ),
        predicted={
            "latency_p95": estimate(median_s * 2.7),
            "memory_peak": estimate((130 + 2300 * median_s) * 2**20, 0.2),
        },
        accuracy=accuracy_summary(accuracy(*counts, labelled=labelled)),
        latency=latency_summary(
            measured,
            0.95,
            base=base if name != "float" else None,
            arm=place,
            arms=arms,
        ),
        memory=memory_figure(measured),
        size=size_figure(int(megabytes * 2**20)),
        why="Larger and slower." if name == "float" else "Slower than the one chosen.",
    )


def _chosen(found: CandidateResult) -> CandidateResult:
    return msgspec.structs.replace(
        found, chosen=True, why="Fastest of those inside every budget on the search split."
    )


def failed(name: str = "int8-static") -> CandidateResult:
    return CandidateResult(
        recipe=name,
        reason="Static ranges are faster where the kernels are.",
        steps=(StepResult(name="export", seconds=6.2, reused=True),),
        failure="quantize: the child was killed after 4.0 GiB of memory; raise --memory or "
        "calibrate with fewer examples.",
        why="It failed.",
    )


def check(
    metric: str, outcome: Outcome, values: tuple[float, float | None, float | None], **more: object
) -> Check:
    """A check of one of BUDGETS; `more` overrides fields."""
    limit = next(b.limit for b in BUDGETS if b.metric == metric)
    base = Check(
        metric=metric,
        limit=limit,
        outcome=outcome,
        evidence=Evidence.PROXY,
        observed=values[0],
        lower=values[1],
        upper=values[2],
        confidence=0.95,
        reason="The whole bound is inside the budget.",
    )
    return msgspec.structs.replace(base, **more)


def _exact_size() -> Check:
    return check(
        "artifact_size",
        Outcome.ACCEPTED,
        (65.3 * 2**20, None, None),
        evidence=Evidence.EXACT,
        confidence=None,
        reason="The files have this size anywhere.",
    )


def _lost(outcome: Outcome = Outcome.ACCEPTED) -> Check:
    return check("accuracy_drop", outcome, (0.0018, -0.0009, 0.0046), samples=3021)


def verdict(word: str, *, target: str = "rpi4") -> Verdict:
    """A verdict of the given word over the four budgets."""
    if word == "provisional":
        predicted: dict[str, object] = {
            "evidence": Evidence.PREDICTED,
            "confidence": 0.8,
            "predicted_inside": True,
            "reason": "The budget needs a measurement on the target; the prediction is inside it.",
            "settle": "Run deployopt verify on the device.",
        }
        checks = (
            _lost(),
            _exact_size(),
            check("latency_p95", Outcome.UNDECIDED, (0.0411, 0.0267, 0.0555), **predicted),
            check("memory_peak", Outcome.UNDECIDED, (172 * 2**20, 138e6, 216e6), **predicted),
        )
    else:
        outcome = Outcome(word)
        tail = {
            "accepted": (0.0161, 0.0158, 0.0165),
            "rejected": (0.0731, 0.0702, 0.0766),
            "undecided": (0.0589, 0.0571, 0.0613),
        }[word]
        reason = {
            "accepted": "The whole bound is inside the budget, in all 5 rounds.",
            "rejected": "The whole bound is outside the budget, in all 5 rounds.",
            "undecided": "The bound holds the limit.",
        }[word]
        settle = "About 1 900 more requests would decide it." if word == "undecided" else None
        checks = (
            _lost(),
            _exact_size(),
            check(
                "latency_p95",
                outcome,
                tail,
                evidence=Evidence.TARGET,
                samples=600,
                reason=reason,
                settle=settle,
            ),
            check(
                "memory_peak",
                Outcome.ACCEPTED,
                (156 * 2**20, None, 157 * 2**20),
                evidence=Evidence.TARGET,
                samples=5,
            ),
        )
    provisional = word == "provisional"
    return Verdict(
        target=target,
        artifact=DIGEST,
        outcome=Outcome.UNDECIDED if provisional else Outcome(word),
        provisional=provisional,
        checks=checks,
    )


def build_result(word: str = "provisional", **more: object) -> BuildResult:
    """A build that ended with this word: provisional on rpi4, the others on x86-cpu."""
    proxy = word == "provisional"
    target = "rpi4" if proxy else "x86-cpu"
    found = (
        candidate("float", "The reference that others must beat.", 0.0381, (0, 0), proxy=proxy),
        _chosen(
            candidate(
                "int8-dynamic",
                "Dynamic int8 is the fastest exact form for transformers here.",
                0.0152,
                (9, 6),
                place=1,
                proxy=proxy,
            )
        ),
        failed(),
    )
    judged = verdict(word, target=target)
    bundle = "/home/ada/bundles/demo-sentiment-rpi4" if word != "rejected" else None
    result = BuildResult(
        target=target,
        target_title="Raspberry Pi 4 Model B, 4 GB" if proxy else "Any x86-64 CPU",
        model="demo-sentiment",
        budgets=BUDGETS,
        plan=PlanSummary(
            fits=True,
            fit_reason="int8 needs 172 MiB of the 3.2 GiB usable; float32 needs 405 MiB.",
            forecasts=tuple(
                Forecast(recipe=c.recipe, reason=c.reason, estimates=c.predicted) for c in found
            ),
            gate_examples=3021,
            gate_examples_needed=1480,
        ),
        candidates=found,
        gate=accuracy_summary(accuracy(22, 17, examples=3021, gate=True)),
        verdict=judged,
        bundle=bundle,
        bundle_digest=DIGEST if bundle else None,
        settle=f"deployopt verify {bundle}" if proxy else None,
        machine=MACHINE,
        data=DataSummary(
            name="movie snippets",
            labelled=True,
            splits={"calibration": 300, "search": 1200, "gate": 3021},
            notes=("41 near-duplicates fell into the split of their twin.",),
        ),
        stages=(
            StageTime(stage="plan", seconds=0.4),
            StageTime(stage="steps", seconds=12.3),
            StageTime(stage="measure", seconds=48.1),
            StageTime(stage="gate", seconds=31.0),
            StageTime(stage="publish", seconds=0.6),
        ),
        exit_code=int(judged.exit_code()),
    )
    return msgspec.structs.replace(result, **more)


def cannot_fit() -> BuildResult:
    """Found before any work."""
    return build_result(
        "rejected",
        model="bert-large",
        plan=PlanSummary(
            fits=False,
            fit_reason="int8 needs 1.9 GiB, more than the 1.2 GiB usable. "
            "distilbert in int8 would fit.",
        ),
        candidates=(),
        gate=None,
        verdict=None,
        data=None,
        stages=(),
    )


def no_labels() -> BuildResult:
    """An ONNX file whose outputs are compared with the reference's."""
    found = (
        candidate("float", "The reference.", 0.0381, (0, 0), labelled=False),
        _chosen(candidate("int8-dynamic", "Smaller.", 0.0152, (14, 0), place=1, labelled=False)),
    )
    data = DataSummary(
        name="sensor.npz",
        labelled=False,
        splits={"search": 1200, "gate": 3021},
        notes=("No labels: agreement with the reference is judged instead of accuracy.",),
    )
    return build_result(candidates=found, data=data)


def one_candidate() -> BuildResult:
    found = _chosen(candidate("float", "Nothing else fits the graph.", 0.0381, (0, 0), arms=1))
    return build_result(candidates=(found,))


def many(number: int = 12) -> BuildResult:
    """Candidates crowded in the corner where labels would meet."""
    chance = np.random.default_rng(7)
    names = [f"int8-dynamic-{k:02d}" for k in range(1, number)]
    found = [candidate("float", "The reference.", 0.0381, (0, 0), arms=number)]
    found += [
        candidate(
            name,
            "Another reach of int8.",
            0.015 + 0.009 * float(chance.random()) ** 2,
            (int(chance.integers(5, 30)), int(chance.integers(2, 9))),
            place=k,
            arms=number,
        )
        for k, name in enumerate(names, start=1)
    ]
    found[1] = _chosen(found[1])
    return build_result(candidates=tuple(found))


def plan_result() -> PlanResult:
    """A plan for the shipped rpi4."""
    found = build_result()
    plan = Plan(
        target=load_target("rpi4"),
        model=found.model,
        budgets=BUDGETS,
        fits=True,
        fit_reason=found.plan.fit_reason,
        forecasts=found.plan.forecasts,
        gate_examples=872,
        gate_examples_needed=1480,
        warnings=("No measurement of this device is known; the band is wide.",),
    )
    return PlanResult(plan=plan, exit_code=0)


def hostile(text: str) -> BuildResult:
    """Every free string of a build replaced by `text`."""
    return with_text(build_result(), text)


def hostile_verify(text: str) -> VerifyResult:
    return with_text(verify_result(), text)


def with_text(record: T, text: str) -> T:
    """The record with every free string in it replaced."""

    def swap(value: object, name: str = "") -> object:
        if isinstance(value, str) and type(value) is str:
            return value if name == "metric" else text
        if isinstance(value, msgspec.Struct):
            fields = value.__struct_fields__
            return msgspec.structs.replace(value, **{f: swap(getattr(value, f), f) for f in fields})
        if isinstance(value, tuple):
            return tuple(swap(v, name) for v in value)
        if isinstance(value, Mapping):
            return {text if name == "packages" else k: swap(v) for k, v in value.items()}
        return value

    return cast("T", swap(record))


def verify_result(word: str = "accepted") -> VerifyResult:
    """A verification on the device itself."""
    measured = trial("int8-dynamic", 0.0152, proxy=False)
    judged = verdict(word)
    return VerifyResult(
        bundle="/home/ada/bundles/demo-sentiment-rpi4",
        bundle_digest=DIGEST,
        name="demo-sentiment",
        target="rpi4",
        on_target=True,
        budgets=BUDGETS,
        verdict=judged,
        machine=PI,
        accuracy=accuracy_summary(accuracy(22, 17, examples=3021, gate=True)),
        latency=latency_summary(measured, 0.95),
        memory=memory_figure(measured),
        size=size_figure(int(65.3 * 2**20)),
        predicted={"latency_p95": estimate(0.0152), "artifact_size": estimate(70 * 2**20, 0.05)},
        written="/home/ada/bundles/demo-sentiment-rpi4.verified/verdict.json",
        stages=(StageTime(stage="measure", seconds=61.0),),
        exit_code=int(judged.exit_code()),
    )


def lineage() -> Lineage:
    """Three steps over a model fetched by digest."""
    source = Origin(
        asked="demo-sentiment",
        resolved="all-MiniLM-L6-v2 from the package chromadb-onnx 1.0",
        licence="Apache-2.0",
        files=(FileEntry(path="model.safetensors", size_bytes=90868376, sha256=DIGEST),),
    )
    digests = [f"{k}" * 64 for k in (1, 2, 3, 4)]
    return Lineage(
        model=source,
        data=Origin(asked="movie snippets", resolved="rt-polarity 1.0", licence="MIT"),
        splits={"search": digests[0], "gate": digests[1]},
        recipe="int8-dynamic",
        steps=tuple(
            LineageStep(
                step=name,
                version=1,
                options=options,
                tools={"onnx": "1.22.0"},
                source=digests[k],
                result=digests[k + 1],
            )
            for k, (name, options) in enumerate(
                (
                    ("export", '{"opset":20}'),
                    ("optimize", '{"fold":true}'),
                    ("quantize", '{"per_channel":true,"reduce_range":false,"scheme":"dynamic"}'),
                )
            )
        ),
    )
