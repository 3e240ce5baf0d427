"""What users import: `import deployopt; deployopt.build(model=..., target=...)`.

Light: torch, transformers, ONNX Runtime and numpy are imported by the call that needs them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deployopt.core.artifact import Precision
from deployopt.core.budget import Budget, merge_budgets, parse_budget
from deployopt.core.distill_result import DistillResult
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
from deployopt.core.training_request import FinetuneRequest
from deployopt.core.training_result import FinetuneResult
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


def finetune(  # noqa: PLR0913 -- as build
    *,
    model: str | Path,
    data: str | Path,
    output: str | Path,
    evaluation_data: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    target: str | Path | Target | None = None,
    method: Method | None = None,
    optimizer: Optimizer = Optimizer.ADAMW,
    precision: Precision | None = None,
    epochs: int | None = None,
    learning_rate: float | None = None,
    warmup_share: float | None = None,
    batch: int | None = None,
    accumulation: int | None = None,
    length: int | None = None,
    rank: int | None = None,
    trained_share: float | None = None,
    patience: int = 2,
    averaged: bool = False,
    class_weights: bool = False,
    augment: bool = False,
    checkpointing: bool | None = None,
    seed: int = 0,
    time_limit_s: float | None = None,
    resume: bool = False,
    store: str | Path | None = None,
    watcher: Watcher = SILENT,
) -> FinetuneResult:
    """Train a classifier of texts or images, and write it as a folder that `build` takes.

    What is not said is as `recommend` would advise for this many examples; a method that does not
    fit the target's memory is passed over.

    Args:
        model: the base: an alias, `hub:ORG/NAME[@REV]`, or a folder in Hugging Face form, with a
            classification head or without; `demo-sentiment` is its public base weights.
        data: labelled examples: a CSV, JSONL or Parquet file, a folder of images, or
            `demo-sentiment`. Near-duplicates are kept on one side of the splits.
        output: the folder; nothing, an empty one, or one that was trained here before.
        evaluation_data: what the accuracy is measured on; by default a tenth of the data.
        columns: names of the text and label columns, `{"text": …, "label": …}`.
        target: where the memory has to fit; by default this machine.
        method: all weights, the upper layers, adapters (merged when written), or adapters over a
            4-bit base.
        optimizer: adamw-8bit needs bitsandbytes and a CUDA GPU.
        precision: fp32, or bf16 over fp32 weights; by default bf16 on GPUs that gain by it.
        epochs: at most; see `patience`.
        learning_rate: its peak, after the warm-up.
        warmup_share: of all steps.
        batch: examples at once on a device; fewer are accumulated to the same update.
        accumulation: batches an update.
        length: tokens of a text at most; by default what 99 % of the texts have.
        rank: of LoRA.
        trained_share: of the layers, with freeze.
        patience: evaluations without a gain after which it stops; 0: never.
        averaged: keep the moving average of the weights.
        class_weights: rare classes count as much as common ones.
        augment: words dropped and swapped; images flipped and cropped.
        checkpointing: of activations: less memory, more time.
        seed: the same seed gives the same weights on the same machine.
        time_limit_s: for everything; the best weights so far are written.
        resume: go on from the last checkpoint of the same run, if it was killed.
        store: the cache's folder; by default the user's cache.
        watcher: told of the progress.

    Raises:
        UsageError: an option, the model or the data is wrong.
        CannotFitError: by the prediction it surely does not fit the target.
        StepError: the loss is not a number, or there was no time to train.
    """
    from deployopt.pipeline.finetuning import run_finetune

    return run_finetune(
        FinetuneRequest(
            model=str(model),
            data=str(data),
            output=Path(output),
            evaluation_data=None if evaluation_data is None else str(evaluation_data),
            columns=dict(columns or {}),
            target=None if target is None else _target(target),
            method=method,
            optimizer=optimizer,
            precision=precision,
            epochs=epochs,
            learning_rate=learning_rate,
            warmup_share=warmup_share,
            batch=batch,
            accumulation=accumulation,
            length=length,
            rank=rank,
            trained_share=trained_share,
            patience=patience,
            averaged=averaged,
            class_weights=class_weights,
            augment=augment,
            checkpointing=checkpointing,
            seed=seed,
            time_limit_s=time_limit_s,
            resume=resume,
            store=None if store is None else Path(store),
        ),
        watcher,
    )


def distill(  # noqa: PLR0913 -- one call with everything that can be asked, every argument named
    *,
    teacher: str | Path,
    output: str | Path,
    layers: int | Sequence[int] | None = None,
    ffn: float = 1.0,
    heads: float = 1.0,
    importance: str = "taylor",
    student: str | Path | None = None,
    data: str | Path | None = None,
    evaluation: str | Path | None = None,
    unlabelled: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    epochs: int = 4,
    learning_rate: float = 1e-4,
    batch: int = 32,
    temperature: float = 2.0,
    hidden_weight: float = 1.0,
    relation_weight: float = 0.0,
    label_weight: float = 0.0,
    time_limit_s: float | None = None,
    seed: int = 0,
    store: str | Path | None = None,
    watcher: Watcher = SILENT,
) -> DistillResult:
    """Make a student of a teacher: cut it, teach it, judge it beside the teacher.

    Args:
        teacher: a text classifier: an alias, `hub:ORG/NAME[@REV]`, or a folder.
        output: the student's folder, an ordinary one that `build` takes.
        layers: how many layers to keep, evenly spread, or which.
        ffn: the share of feed-forward neurons to keep, rounded to multiples of 16.
        heads: the share of attention heads to keep, where the model's config can say so.
        importance: what decides which parts go: taylor, activation or magnitude.
        student: a smaller model to teach, with the teacher's labels and tokenizer; by default it
            is cut from the teacher.
        data: texts and labels: a CSV, JSONL or Parquet file; by default what the teacher brings.
        evaluation: the same, to judge with; by default a part of `data` that nothing learns from.
        unlabelled: more texts to learn from, a file with one a line.
        columns: names of the text and label columns, `{"text": …, "label": …}`.
        epochs: the most passes over the texts.
        learning_rate: the highest one.
        batch: texts at once.
        temperature: how much the answers are softened.
        hidden_weight: of the layers' outputs, against 1 of the answers.
        relation_weight: of how tokens relate in the last layer.
        label_weight: of the labels themselves.
        time_limit_s: for teaching.
        seed: decides the order of texts.
        store: the cache's folder; by default the user's cache.
        watcher: told of the progress.

    Raises:
        UsageError: an argument, the data, or a student of another tokenizer or other labels.
        TrainingError: the loss was no finite number, or the time too short to learn anything.
    """
    from deployopt.core.distill_request import DistillRequest
    from deployopt.pipeline.distilling import run_distill

    return run_distill(
        DistillRequest(
            teacher=str(teacher),
            student=None if student is None else str(student),
            layers=layers if isinstance(layers, int) else None,
            keep=() if layers is None or isinstance(layers, int) else tuple(layers),
            ffn=ffn,
            heads=heads,
            importance=importance,
            data=None if data is None else str(data),
            evaluation=None if evaluation is None else str(evaluation),
            unlabelled=None if unlabelled is None else Path(unlabelled),
            columns=dict(columns or {}),
            epochs=epochs,
            learning_rate=learning_rate,
            batch=batch,
            temperature=temperature,
            hidden_weight=hidden_weight,
            relation_weight=relation_weight,
            label_weight=label_weight,
            time_limit_s=time_limit_s,
            seed=seed,
            output=Path(output),
            store=None if store is None else Path(store),
        ),
        watcher,
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
