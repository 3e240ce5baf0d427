"""Answers of `fit` and `recommend` as the pipeline gives them, made up and complete."""

from deployopt.core.architecture import Architecture, Stack
from deployopt.core.artifact import Precision
from deployopt.core.cost import Cost, CostOption
from deployopt.core.evidence import Estimate
from deployopt.core.fit import Fit, Use
from deployopt.core.memory import MemoryNeed, Method, Part, Sharding, Training
from deployopt.core.recommendation import Choice, Reason, Recommendation, TrainingAdvice
from deployopt.core.result import FitResult, RecommendResult
from deployopt.core.standing import Standing
from deployopt.core.tasks import ModelTask
from deployopt.planning.targets import load_target

GIB = 2.0**30
LLAMA = Architecture(
    model_type="llama",
    stacks=(
        Stack(
            name="decoder", layers=32, hidden=4096, heads=32, kv_heads=8, head_dim=128, ffn=11008,
            gated=True, causal=True, rms=True,
        ),
    ),
    vocabulary=32_000,
    positions=4096,
    parameters=6_738_415_616,
    embedding_parameters=131_072_000,
    head_parameters=131_072_000,
    dtype="float16",
    basis="config.json and the headers of 2 safetensors files",
)  # fmt: skip


def estimate(value: float, share: float = 0.15, basis: str = "weights, KV cache") -> Estimate:
    """A value with a band of that share."""
    return Estimate(value=value, lower=value * (1 - share), upper=value * (1 + share), basis=basis)


def need(total: float, name: str = "weights") -> MemoryNeed:
    """A need of one large part and two small ones."""
    return MemoryNeed(
        parts=(
            Part(name=name, bytes=total * 0.9),
            Part(name="KV cache", bytes=total * 0.0999),
            Part(name="dust", bytes=total * 0.0001),
        ),
        total=estimate(total),
    )


def fit_result() -> FitResult:
    """fp16 does not fit, int8 may, int4 does."""
    rows = (
        (Precision.FP16, 14.6, Standing.OUTSIDE, None, None, ""),
        (Precision.INT8, 9.9, Standing.UNSETTLED, 1, 2900, ""),
        (Precision.INT4, 5.1, Standing.INSIDE, 12, 4096, "int4 weights, computed in fp16"),
    )
    uses = tuple(
        Use(
            precision=precision,
            batch=1,
            context=2048,
            need=need(size * GIB),
            available_bytes=11 * GIB,
            standing=standing,
            largest_batch=batch,
            largest_context=context,
            note=note,
            predicted={} if batch is None else {"decode_tps": estimate(41.7, 0.5)},
        )
        for precision, size, standing, batch, context, note in rows
    )
    fit = Fit(
        target=load_target("rtx3060"),
        model="llama-2-7b",
        architecture=LLAMA,
        parameters=LLAMA.parameters,
        uses=uses,
        best=2,
        give_up=("fp16 would fit target a100 (NVIDIA A100 40 GB), at 13 to 17 GiB.",),
        cross_checks=("weights x 1.2 to 1.4 would say 15.1 to 17.6 GiB for fp16",),
        warnings=("the config names no dtype",),
    )
    return FitResult(fit=fit, exit_code=0)


def training_result() -> FitResult:
    """Full does not fit, QLoRA does."""
    found = []
    for method, size, standing in (
        (Method.FULL, 110.0, Standing.OUTSIDE),
        (Method.LORA, 17.0, Standing.OUTSIDE),
        (Method.QLORA, 7.2, Standing.INSIDE),
    ):
        found.append(
            Use(
                precision=Precision.BF16,
                training=Training(method=method, batch=1, length=512, checkpointing=True),
                batch=1,
                context=512,
                need=need(size * GIB),
                available_bytes=11 * GIB,
                standing=standing,
                largest_batch=4 if standing is Standing.INSIDE else None,
                largest_context=2048 if standing is Standing.INSIDE else None,
            )
        )
    fit = fit_result().fit
    return FitResult(
        fit=Fit(
            target=fit.target,
            model=fit.model,
            architecture=LLAMA,
            parameters=fit.parameters,
            uses=tuple(found),
            best=2,
        ),
        exit_code=0,
    )


def graph_result() -> FitResult:
    """A convolution net that is no text model."""
    fit = fit_result().fit
    use = Use(
        precision=Precision.FP32,
        batch=1,
        need=need(0.2 * GIB),
        available_bytes=3.5 * GIB,
        standing=Standing.INSIDE,
        largest_batch=64,
        predicted={"latency_s": estimate(0.0367, 0.5)},
    )
    return FitResult(
        fit=Fit(
            target=load_target("rpi4"),
            model=fit.model,
            architecture=None,
            parameters=25_557_032,
            uses=(use,),
            best=0,
        ),
        exit_code=0,
    )


def choice(alias: str = "distilbert", trade: str = "") -> Choice:
    """A small text model in int8."""
    return Choice(
        alias=alias,
        title="DistilBERT base, SST-2",
        tier="light",
        parameters=66_955_010,
        licence="apache-2.0",
        quality="91.1 % accuracy, SST-2",
        precision=Precision.INT8,
        compression=("int8 dynamic",),
        runtime="ONNX Runtime",
        batch=1,
        standing=Standing.INSIDE,
        memory=need(0.2 * GIB),
        predicted={"latency_s": estimate(0.12, 0.6)},
        within_latency=Standing.INSIDE,
        training=TrainingAdvice(
            where="rtx3060",
            training=Training(method=Method.FULL, batch=16, length=128),
            accumulation=2,
            epochs=3,
            learning_rate=2e-5,
            warmup_share=0.1,
            early_stopping=True,
            augmentation="synonyms",
            need=need(4.0 * GIB, "activations"),
            available_bytes=11 * GIB,
            standing=Standing.INSIDE,
            hours=estimate(0.2, 0.5),
            commands=("accelerate launch run_classification.py --model_name_or_path " + alias,),
        ),
        reasons=(
            Reason(about="memory", text="0.17 to 0.23 GiB of 3.5 GiB usable"),
            Reason(about="data", text="8 000 examples are more than the 1 000 that it takes"),
        ),
        trade=trade,
        commands=(f"deployopt build --target rpi4 --model {alias}",),
    )


def cost() -> Cost:
    """A Pi against a cloud machine."""
    return Cost(
        currency="USD",
        as_of="2026-10",
        source="a list of prices",
        options=(
            CostOption(name="own rpi4", per_million=estimate(0.31), requests_per_day_max=720_000),
            CostOption(name="cloud x86-cpu on demand", per_million=estimate(12_345.6)),
        ),
        break_even_per_day=1_834.4,
        energy_per_request_j=estimate(0.77),
        training=estimate(0.12),
        notes=("From 1,834 requests a day own rpi4 costs less.",),
    )


def recommend_result() -> RecommendResult:
    """One choice, one alternative, one refusal."""
    return RecommendResult(
        recommendation=Recommendation(
            task=ModelTask.TEXT_CLASSIFICATION,
            target=load_target("rpi4"),
            examples=8000,
            realtime=True,
            choice=choice(),
            alternatives=(choice("mobilebert", "1.4 x slower, +0.3 pt on SST-2"),),
            refused={"bert-large": "latency is 2.1 s at the lower end of its band"},
            cost=cost(),
            warnings=("the latency is predicted from the datasheet alone",),
        ),
        exit_code=0,
    )


def nothing_result() -> RecommendResult:
    """A task for which nothing will do."""
    return RecommendResult(
        recommendation=Recommendation(
            task=ModelTask.TEXT_TO_IMAGE,
            target=load_target("rpi4-2gb"),
            examples=None,
            realtime=True,
            choice=None,
            refused={f"model-{i}": "it needs 4 to 6 GiB of memory" for i in range(9)},
        ),
        exit_code=1,
    )


def training_over_gpus() -> Training:
    """FSDP on four devices with 8-bit states."""
    return Training(
        method=Method.FULL, devices=4, sharding=Sharding.FSDP, batch=2, precision=Precision.BF16
    )
