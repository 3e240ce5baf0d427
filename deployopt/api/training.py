"""The calls that train: a model of one's own, a student of a teacher."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from deployopt.api.arguments import target_of
from deployopt.core.artifact import Precision
from deployopt.core.distill_result import DistillResult
from deployopt.core.memory import Method, Optimizer
from deployopt.core.target import Target
from deployopt.core.training_request import FinetuneRequest
from deployopt.core.training_result import FinetuneResult
from deployopt.core.watching import SILENT, Watcher


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
    unfreeze_every: int = 0,
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
    """Train a classifier, or tune a language model, and write a folder that `build` takes.

    What is not said is as `recommend` would advise for this many examples; a method that does not
    fit the target's memory is passed over.

    Args:
        model: the base: an alias, `hub:ORG/NAME[@REV]`, or a folder in Hugging Face form, with a
            classification head or without; `demo-sentiment` is its public base weights. A language
            model too, such as `demo-chat`, or a `.gguf` file.
        data: labelled examples: a CSV, JSONL or Parquet file, a folder of images, `sst2`,
            `hub:datasets/ORG/NAME[@REV][:FILE]`, or `demo-sentiment`. Of a language model
            dialogues, as JSON lines of messages, conversations, prompts and completions,
            instructions and outputs, or documents, as JSON lines of text or a .txt file.
            Near-duplicates are kept on one side of the splits.
        output: the folder; nothing, an empty one, or one that was trained here before.
        evaluation_data: what it is judged by; by default a tenth of the data, of dialogues a fifth
            where they are few.
        columns: names of the text and label columns, `{"text": …, "label": …}`; of a language
            model the key of documents.
        target: where the memory has to fit; by default this machine.
        method: all weights, the upper layers, adapters (merged when written), adapters over a
            4-bit base, or a prefix, which cannot be merged: its folder is no model for `build`.
        optimizer: adamw-8bit needs bitsandbytes and a CUDA GPU.
        precision: fp32, or bf16 over fp32 weights; by default bf16 on GPUs that gain by it.
        epochs: at most; see `patience`.
        learning_rate: its peak, after the warm-up.
        warmup_share: of all steps.
        batch: examples at once on a device; fewer are accumulated to the same update.
        accumulation: batches an update.
        length: tokens of a text at most; by default what 99 % of the texts have. A longer dialogue
            ends with an earlier answer.
        rank: of LoRA; of a prefix the tokens.
        trained_share: of the layers, with freeze; and in the second stage of `unfreeze_every`.
        unfreeze_every: epochs after which more is trained, in stages: the head alone, the upper
            layers with it, all; 0: all from the start.
        patience: evaluations without a gain after which it stops; 0: never.
        averaged: keep the moving average of the weights.
        class_weights: rare classes count as much as common ones.
        augment: words dropped and swapped; images flipped and cropped.
        checkpointing: of activations: less memory, more time.
        seed: the same seed gives the same weights on the same machine.
        time_limit_s: for everything from the call on; the best weights so far are written.
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
            target=None if target is None else target_of(target),
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
            unfreeze_every=unfreeze_every,
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
        data: texts and labels: a CSV, JSONL or Parquet file, `sst2` or `hub:datasets/ORG/NAME`; by
            default what the teacher brings.
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
