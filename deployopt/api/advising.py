"""The calls that answer before anything is built: arithmetic, with bands."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from deployopt.api.arguments import Budgets, limits_of, target_of
from deployopt.core.artifact import Precision
from deployopt.core.memory import Method, Optimizer, Sharding
from deployopt.core.request import BuildRequest, ByHand, FitRequest, RecommendRequest
from deployopt.core.result import (
    FitResult,
    PlanResult,
    RecommendResult,
)
from deployopt.core.target import Target
from deployopt.core.tasks import ModelTask


def plan(  # noqa: PLR0913 -- as build
    *,
    model: str | Path,
    target: str | Path | Target,
    budgets: Budgets | None = None,
    data: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    labels: str | Path | None = None,
    store: str | Path | None = None,
) -> PlanResult:
    """What `build` would try, and what is expected of it; nothing is built.

    `labels` is a file of what an image-text model chooses among.

    Raises:
        DeployoptError: as `build`, as far as it comes before any work.
    """
    from deployopt.pipeline.planning import run_plan

    return run_plan(
        BuildRequest(
            model=str(model),
            target=target_of(target),
            budgets=limits_of(budgets),
            data=None if data is None else str(data),
            columns=dict(columns or {}),
            labels=None if labels is None else Path(labels),
            store=None if store is None else Path(store),
        )
    )


def fit(  # noqa: PLR0913 -- one call with everything that can be asked, every argument named
    model: str | Path | None = None,
    *,
    target: str | Path | Target,
    by_hand: ByHand | None = None,
    training: bool = False,
    precisions: Sequence[Precision] = (),
    batch: int = 1,
    context: int | None = None,
    methods: Sequence[Method] = (),
    optimizer: Optimizer = Optimizer.ADAMW,
    checkpointing: bool | None = None,
    sharding: Sharding | None = None,
    lock: str | Path | None = None,
    store: str | Path | None = None,
) -> FitResult:
    """Memory of running or training a model on a target, by precision; downloads no weights.

    Args:
        model: an alias, `hub:ORG/NAME[@REV]`, a folder in Hugging Face form, an `.onnx` or
            a `.gguf` file.
        target: a shipped profile's name, a TOML file, or a Target.
        by_hand: sizes of a model that has no config, in place of `model`.
        training: fine-tuning by every method, rather than inference at every precision.
        precisions: only these.
        batch: requests or examples at once, on one device.
        context: tokens of prompt and answer; by default 2048 or what the model allows, 128 for
            encoders.
        methods: of training, only these.
        optimizer: of training.
        checkpointing: of gradients; by default with it for models that generate.
        sharding: over several devices; by default what they need.
        lock: a file that pins what the hub gave.
        store: the cache's folder; by default the user's cache.

    Returns:
        The result; its `exit_code` is 0 where something fits, 1 where nothing does, 3 where the
        band of the prediction reaches over the limit.

    Raises:
        UsageError: an argument, the target, or the model's config is wrong.
        SourceError: the hub does not answer, or has no such model.
    """
    from deployopt.pipeline.fitting import run_fit

    return run_fit(
        FitRequest(
            model=None if model is None else str(model),
            by_hand=by_hand,
            target=target_of(target),
            training=training,
            precisions=tuple(precisions),
            batch=batch,
            context=context,
            methods=tuple(methods),
            optimizer=optimizer,
            checkpointing=checkpointing,
            sharding=sharding,
            lock=None if lock is None else Path(lock),
            store=None if store is None else Path(store),
        )
    )


def recommend(  # noqa: PLR0913 -- as fit
    *,
    task: str | ModelTask,
    target: str | Path | Target,
    examples: int | None = None,
    realtime: bool = False,
    budgets: Budgets | None = None,
    length: int | None = None,
    requests_per_day: float | None = None,
    commercial: bool = False,
    prices: str | Path | None = None,
) -> RecommendResult:
    """A model for the task on the target: compression, fine-tuning, cost, with every reason.

    Args:
        task: as the hub names it, or a common word: sentiment, detection, ner, ...
        target: a shipped profile's name, a TOML file, or a Target.
        examples: labelled examples for fine-tuning; None where the model is used as it comes.
        realtime: somebody waits: 30 a second for vision, 100 ms for text, reading speed for
            generated text, unless a latency budget says otherwise.
        budgets: limits, e.g. `{"latency_p95": "50 ms"}`; the target's own are not taken.
        length: tokens of a request.
        requests_per_day: what prices are compared at.
        commercial: leave out licences that forbid commercial use.
        prices: a TOML file of prices in place of the shipped ones.

    Raises:
        UsageError: an argument, the target or the file of prices is wrong.
    """
    from deployopt.core.tasks import parse_task
    from deployopt.pipeline.recommending import run_recommend

    return run_recommend(
        RecommendRequest(
            task=parse_task(str(task)),
            target=target_of(target),
            examples=examples,
            realtime=realtime,
            budgets=limits_of(budgets),
            length=length,
            requests_per_day=requests_per_day,
            commercial=commercial,
            prices=None if prices is None else Path(prices),
        )
    )
