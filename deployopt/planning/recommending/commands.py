"""The command lines that fine-tune: transformers', diffusers' and TRL's own scripts.

In: a model, a task, how it is trained. Out: lines to type. The options are those of
transformers 5 (examples/pytorch), diffusers (examples/text_to_image) and `trl sft`; data files have
made-up names. Our own lines, where there are some, are in `ours`.
"""

import math
from collections.abc import Mapping
from typing import Final

from deployopt.core.artifact import Precision
from deployopt.core.memory import Method, Optimizer, Sharding
from deployopt.core.tasks import ModelTask
from deployopt.planning.recommending.detectors import FAMILIES
from deployopt.planning.recommending.run import Run

_TABLES: Final = ("--train_file train.csv", "--validation_file validation.csv")
_LINES: Final = ("--train_file train.json", "--validation_file validation.json")
_SCRIPTS: Final[Mapping[ModelTask, tuple[str, tuple[str, ...]]]] = {
    ModelTask.TEXT_CLASSIFICATION: (
        "text-classification/run_classification.py",
        (
            *_TABLES,
            "--text_column_names text",
            "--label_column_name label",
            "--metric_name accuracy",
            "--ignore_mismatched_sizes",
        ),
    ),
    ModelTask.TOKEN_CLASSIFICATION: (
        "token-classification/run_ner.py",
        (*_LINES, "--ignore_mismatched_sizes"),
    ),
    ModelTask.QUESTION_ANSWERING: (
        "question-answering/run_qa.py",
        # Its evaluation gives no loss to choose the best epoch by.
        (*_LINES, "--doc_stride 128", "--metric_for_best_model f1"),
    ),
    ModelTask.TRANSLATION: (
        "translation/run_translation.py",
        (*_LINES, "--source_lang en", "--target_lang de", "--predict_with_generate"),
    ),
    ModelTask.SUMMARIZATION: (
        "summarization/run_summarization.py",
        (*_LINES, "--text_column document", "--summary_column summary", "--predict_with_generate"),
    ),
    ModelTask.IMAGE_CLASSIFICATION: (
        "image-classification/run_image_classification.py",
        (
            "--train_dir train",
            "--validation_dir validation",
            "--remove_unused_columns False",
            "--ignore_mismatched_sizes",
        ),
    ),
    ModelTask.OBJECT_DETECTION: (
        "object-detection/run_object_detection.py",
        (
            "--dataset_name ORG/YOUR_BOXES",
            "--remove_unused_columns False",
            "--eval_do_concat_batches False",
            "--ignore_mismatched_sizes",
        ),
    ),
    ModelTask.IMAGE_SEGMENTATION: (
        "semantic-segmentation/run_semantic_segmentation.py",
        ("--dataset_name ORG/YOUR_MASKS", "--remove_unused_columns False"),
    ),
    ModelTask.IMAGE_TEXT: (
        "contrastive-image-text/run_clip.py",
        (*_LINES, "--image_column image", "--caption_column caption",
         "--remove_unused_columns False"),
    ),
    ModelTask.SPEECH_RECOGNITION: (
        "speech-recognition/run_speech_recognition_seq2seq.py",
        (
            "--dataset_name ORG/YOUR_CLIPS",
            "--task transcribe",
            "--text_column_name text",
            "--max_duration_in_seconds 30",
            "--predict_with_generate",
        ),
    ),
}  # fmt: skip
_LENGTHS: Final[Mapping[ModelTask, str]] = {
    ModelTask.TEXT_CLASSIFICATION: "--max_seq_length",
    ModelTask.TOKEN_CLASSIFICATION: "--max_seq_length",
    ModelTask.QUESTION_ANSWERING: "--max_seq_length",
    ModelTask.TRANSLATION: "--max_source_length",
    ModelTask.SUMMARIZATION: "--max_source_length",
}
_PREFIXES: Final[Mapping[ModelTask, str]] = {
    ModelTask.TRANSLATION: "translate English to German: ",
    ModelTask.SUMMARIZATION: "summarize: ",
}
_FREEZES: Final[Mapping[ModelTask, str]] = {
    ModelTask.SPEECH_RECOGNITION: "--freeze_encoder",
    ModelTask.IMAGE_TEXT: "--freeze_text_model",
}
_ALPHA: Final = 2
"""Of adapters, times their rank."""


def training_commands(run: Run) -> tuple[str, ...]:
    """The lines in order; empty where no public script does it."""
    if run.entry.family in FAMILIES:
        return (FAMILIES[run.entry.family](run),)
    if run.entry.repository is None:
        return ()
    if run.task is ModelTask.TEXT_GENERATION:
        return (_joined(_language_model(run)),)
    if run.task is ModelTask.TEXT_TO_IMAGE:
        return (_joined(_diffusion(run)),)
    if run.task not in _SCRIPTS:
        return ()
    return (_joined(_trainer(run)),)


def _trainer(run: Run) -> list[str]:
    script, data = _SCRIPTS[run.task]
    words = [*_launcher(run), f"examples/pytorch/{script}", *_model(run, "--model_revision"), *data]
    if run.entry.family.startswith("t5") and run.task in _PREFIXES:
        words.append(f'--source_prefix "{_PREFIXES[run.task]}"')
    if run.task in _LENGTHS:
        words.append(f"{_LENGTHS[run.task]} {run.training.length}")
    if run.task is ModelTask.OBJECT_DETECTION and run.entry.image_size:
        words.append(f"--image_square_size {run.entry.image_size}")
    if run.task is ModelTask.SPEECH_RECOGNITION and not _english_only(run):
        words.append("--language en")
    if run.task in _FREEZES and run.training.method is Method.FREEZE:
        words.append(_FREEZES[run.task])
    return [*words, "--do_train", "--do_eval", *_schedule(run), *_keeping()]


def _english_only(run: Run) -> bool:
    """Whisper's checkpoints of one language, for which the script refuses a language."""
    return (run.entry.repository or "").endswith(".en")


def _language_model(run: Run) -> list[str]:
    training = run.training
    words = ["trl sft"]
    if training.devices > 1:
        sharded = {Sharding.FSDP: "fsdp2", Sharding.ZERO2: "zero2"}
        config = sharded.get(training.sharding, "multi_gpu")
        words += [f"--accelerate_config {config}", f"--num_processes {training.devices}"]
    words += [*_model(run, "--model_revision"), "--dataset_name ORG/YOUR_CHATS"]
    words += [f"--max_length {training.length}"]
    if training.precision is Precision.BF16:
        words.append("--dtype bfloat16")
    if training.method in {Method.LORA, Method.QLORA}:
        words += ["--use_peft", f"--lora_r {training.rank}"]
        words += [f"--lora_alpha {_ALPHA * training.rank}", "--lora_target_modules all-linear"]
    if training.method is Method.QLORA:
        words.append("--load_in_4bit")
    return [*words, *_schedule(run), "--eval_strategy epoch"]


def _diffusion(run: Run) -> list[str]:
    adapters = run.training.method in {Method.LORA, Method.QLORA}
    large = "xl" in run.entry.alias.casefold()
    name = "train_text_to_image" + ("_lora" if adapters else "") + ("_sdxl" if large else "")
    mixed = {Precision.BF16: "bf16", Precision.FP16: "fp16"}.get(run.training.precision, "no")
    words = [*_launcher(run), f"examples/text_to_image/{name}.py"]
    words += [f"--pretrained_model_name_or_path {run.entry.repository}"]
    if run.entry.revision:
        words.append(f"--revision {run.entry.revision}")
    words += ["--train_data_dir images", "--caption_column text", "--random_flip"]
    words += [f"--resolution {run.entry.image_size or 512}"]
    words += [f"--train_batch_size {run.training.batch}"]
    words += [f"--gradient_accumulation_steps {run.accumulation}"]
    words += [f"--num_train_epochs {run.epochs}", f"--learning_rate {run.learning_rate:g}"]
    words += [f"--lr_scheduler cosine --lr_warmup_steps {_warmup_steps(run)}"]
    words += [f"--mixed_precision {mixed}"]
    if run.training.checkpointing:
        words.append("--gradient_checkpointing")
    if run.training.optimizer is Optimizer.ADAMW_8BIT:
        words.append("--use_8bit_adam")
    if adapters:
        words.append(f"--rank {run.training.rank}")
    return [*words, f"--output_dir {run.folder}"]


def _launcher(run: Run) -> list[str]:
    training = run.training
    if training.devices == 1:
        return ["accelerate launch --num_processes 1" + (" --cpu" if run.cpu else "")]
    if training.sharding in {Sharding.FSDP, Sharding.ZERO2}:
        again = training.sharding is Sharding.FSDP
        return [
            f"accelerate launch --num_processes {training.devices} --use_fsdp --fsdp_version 2",
            f"--fsdp_auto_wrap_policy TRANSFORMER_BASED_WRAP --fsdp_reshard_after_forward {again}",
        ]
    return [f"torchrun --nproc_per_node {training.devices}"]


def _model(run: Run, option: str) -> list[str]:
    words = [f"--model_name_or_path {run.entry.repository}"]
    if run.entry.revision:
        words.append(f"{option} {run.entry.revision}")
    return words


def _schedule(run: Run) -> list[str]:
    training = run.training
    words = [
        f"--per_device_train_batch_size {training.batch}",
        f"--gradient_accumulation_steps {run.accumulation}",
        f"--num_train_epochs {run.epochs}",
        f"--learning_rate {run.learning_rate:g}",
        f"--warmup_steps {run.warmup_share:g}",
    ]
    flags = {Precision.BF16: "--bf16", Precision.FP16: "--fp16"}
    if run.cpu:
        words.append("--use_cpu")
    elif training.precision in flags:
        words.append(flags[training.precision])
    if training.checkpointing:
        words.append("--gradient_checkpointing")
    if training.optimizer is not Optimizer.ADAMW:
        words.append(f"--optim {_OPTIMIZERS[training.optimizer]}")
    return [*words, f"--output_dir {run.folder}"]


_OPTIMIZERS: Final = {Optimizer.ADAMW_8BIT: "adamw_bnb_8bit", Optimizer.SGD: "sgd"}


def _keeping() -> list[str]:
    """Keeps the best epoch, by validation loss unless named: what early stopping would keep."""
    return [
        "--eval_strategy epoch",
        "--save_strategy epoch",
        "--save_total_limit 1",
        "--load_best_model_at_end",
    ]


def _warmup_steps(run: Run) -> int:
    together = run.training.batch * run.training.devices * run.accumulation
    return max(1, math.ceil(run.examples / together * run.epochs * run.warmup_share))


def _joined(words: list[str]) -> str:
    return " ".join(words)
