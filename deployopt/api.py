"""What users import: `import deployopt; deployopt.build(model=..., target=...)`.

Light: torch, transformers, ONNX Runtime and numpy are imported by the call that needs them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deployopt.core.artifact import Precision
from deployopt.core.budget import Budget, merge_budgets, parse_budget
from deployopt.core.errors import UsageError
from deployopt.core.memory import Method, Optimizer, Sharding
from deployopt.core.request import BuildRequest, ByHand, FitRequest, RecommendRequest
from deployopt.core.result import (
    BuildResult,
    FitResult,
    PlanResult,
    RecommendResult,
    VerifyResult,
)
from deployopt.core.target import Target
from deployopt.core.tasks import ModelTask
from deployopt.core.watching import SILENT, Watcher

if TYPE_CHECKING:
    from deployopt.device.run import Predictor

Budgets = Mapping[str, str] | Sequence[Budget]
"""`{"latency_p95": "60 ms"}`, or budgets already read."""
Model = Any
"""An alias, `hub:ORG/NAME`, a folder, an .onnx file, or a torch.nn.Module."""


def build(  # noqa: PLR0913 -- the one call that scripts make; every argument has a name
    *,
    model: Model,
    target: str | Path | Target,
    budgets: Budgets | None = None,
    data: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    output: str | Path | None = None,
    accept_predicted: bool = False,
    example_inputs: Mapping[str, Any] | Sequence[Any] | None = None,
    labels: Sequence[str] = (),
    store: str | Path | None = None,
    seed: int = 0,
    lock: str | Path | None = None,
    watcher: Watcher = SILENT,
) -> BuildResult:
    """Plan, build, measure, judge, and publish the best bundle.

    Args:
        model: an alias, `hub:ORG/NAME[@REV]`, a folder in Hugging Face form, an `.onnx` file, or a
            `torch.nn.Module` (then with `example_inputs`).
        target: a shipped profile's name, a TOML file, or a Target.
        budgets: limits that replace the target's own, e.g. `{"latency_p95": "60 ms"}`.
        data: evaluation data: a CSV, JSONL or Parquet file, a folder of images, `hub:datasets/…`;
            by default what comes with the model.
        columns: names of the text and label columns, `{"text": …, "label": …}`.
        output: the bundle's folder; by default named after the model and the target.
        accept_predicted: take a bundle whose device budgets are only predicted to hold.
        example_inputs: what a `torch.nn.Module` is called with: tensors, in the order of its
            forward or by input name, the batch first.
        labels: the classes of the module's logits, in order, where it classifies.
        store: the cache's folder; by default the user's cache.
        seed: decides the splits and the order of requests.
        lock: a file that pins what the hub gave; a model or data that drifted is refused.
        watcher: told of the progress.

    Returns:
        The result; `.verdict.exit_code()` is what the command line would return.

    Raises:
        DeployoptError: any kind, with its exit code; a missed budget is a verdict, not an error.
    """
    from deployopt.pipeline.build import run_build

    request = BuildRequest(
        model=_model_name(model),
        target=_target(target),
        budgets=_limits(budgets),
        data=None if data is None else str(data),
        columns=dict(columns or {}),
        output=None if output is None else Path(output),
        accept_predicted=accept_predicted,
        store=None if store is None else Path(store),
        seed=seed,
        lock=None if lock is None else Path(lock),
    )
    if isinstance(model, str | Path):
        return run_build(request, watcher)
    from deployopt.sources.modules import GivenModule

    given = GivenModule(module=model, example_inputs=example_inputs, labels=tuple(labels))
    return run_build(request, watcher, given)


def plan(
    *,
    model: str | Path,
    target: str | Path | Target,
    budgets: Budgets | None = None,
    data: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    store: str | Path | None = None,
) -> PlanResult:
    """What `build` would try, and what is expected of it; nothing is built.

    Raises:
        DeployoptError: as `build`, as far as it comes before any work.
    """
    from deployopt.pipeline.planning import run_plan

    return run_plan(
        BuildRequest(
            model=str(model),
            target=_target(target),
            budgets=_limits(budgets),
            data=None if data is None else str(data),
            columns=dict(columns or {}),
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
        model: an alias, `hub:ORG/NAME[@REV]`, a folder in Hugging Face form, or an `.onnx` file.
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
            target=_target(target),
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
            target=_target(target),
            examples=examples,
            realtime=realtime,
            budgets=_limits(budgets),
            length=length,
            requests_per_day=requests_per_day,
            commercial=commercial,
            prices=None if prices is None else Path(prices),
        )
    )


def verify(
    bundle: str | Path,
    *,
    accept_predicted: bool = False,
    store: str | Path | None = None,
    watcher: Watcher = SILENT,
) -> VerifyResult:
    """Check the bundle's digests, measure it on this machine, judge it, and write that beside it.

    On the target itself the figures are kept in the store too: later predictions learn from them.

    Raises:
        IntegrityError: the bundle is not the one that was built; every mismatch is listed.
    """
    from deployopt.device.verify import verify as run_verify

    return run_verify(
        Path(bundle),
        accept_predicted=accept_predicted,
        store=None if store is None else Path(store),
        watcher=watcher,
    )


def report(bundle: str | Path, output: str | Path | None = None) -> Path:
    """Write the bundle's page, with what devices have added since; returns where it is.

    By default it goes beside the bundle, as `NAME.html`: the bundle itself stays as it was built.

    Raises:
        IntegrityError: the bundle is not the one that was built.
        MissingExtraError: the packages for building are not installed.
    """
    from deployopt.pipeline.reporting import write_page

    folder = Path(bundle)
    return write_page(folder, Path(output) if output else folder.with_name(f"{folder.name}.html"))


class Bundle:
    """A bundle that answers: `Bundle.open(path).predict(["some text"])`."""

    @staticmethod
    def open(path: "str | Path") -> "Predictor":
        """Check the digests and open the model.

        Raises:
            IntegrityError: the bundle is not the one that was built.
        """
        from deployopt.device.run import Predictor

        return Predictor.open(Path(path))


def detect(*, calibrate: bool = False, watcher: Watcher = SILENT) -> Target:
    """This machine as a target, by real probes; takes a few seconds.

    With `calibrate` operators and small models are timed as well, in one to three minutes, and
    predictions for the target rest on them.

    Raises:
        DeviceError: too few of them could be timed: the machine is busy.
        UsageError: the machine's models run on its GPU, which no calibration covers.
    """
    from deployopt.device.detect import detect as run_detect

    if not calibrate:
        return run_detect()
    from deployopt.device.calibrate import calibrated

    return calibrated(run_detect(), watcher)


def targets() -> tuple[str, ...]:
    """The names of the shipped targets."""
    from deployopt.planning.targets import target_names

    return tuple(target_names())


def load_target(name: str | Path) -> Target:
    """A shipped target by name, or a TOML file.

    Raises:
        UsageError: no such target, or the file is wrong; says where.
    """
    from deployopt.planning.targets import load_target as load

    return load(str(name))


def _target(target: str | Path | Target) -> Target:
    return target if isinstance(target, Target) else load_target(target)


def _model_name(model: Model) -> str:
    return str(model) if isinstance(model, str | Path) else type(model).__name__.lower()


def _limits(budgets: Budgets | None) -> tuple[Budget, ...]:
    if budgets is None:
        return ()
    if isinstance(budgets, Mapping):
        return tuple(parse_budget(name, limit) for name, limit in budgets.items())
    if not all(isinstance(budget, Budget) for budget in budgets):
        raise UsageError('Budgets are given as {"latency_p95": "60 ms"} or as Budget records.')
    return merge_budgets((), tuple(budgets))
