"""The lines name the model, what was computed, and only options that their scripts have."""

import re
from collections.abc import Callable

import msgspec
import pytest

from deployopt.catalogue.models import Entry
from deployopt.core.artifact import Precision
from deployopt.core.memory import Method, Optimizer, Sharding, Training
from deployopt.core.tasks import ModelTask
from deployopt.planning.recommending.commands import training_commands
from deployopt.planning.recommending.run import Run

# What TrainingArguments of transformers 5 calls them, and the scripts' own.
KNOWN = frozenset(
    """
    accelerate_config accumulation batch bf16 caption_column cpu dataset_name data_seed do_eval
    do_train doc_stride dtype eval_do_concat_batches eval_strategy fp16 freeze_encoder
    freeze_text_model
    fsdp_auto_wrap_policy fsdp_reshard_after_forward fsdp_version gradient_accumulation_steps
    gradient_checkpointing ignore_mismatched_sizes image_column image_square_size
    label_column_name language learning_rate load_best_model_at_end load_in_4bit lora_alpha lora_r
    metric_for_best_model
    lora_target_modules lr_scheduler lr_warmup_steps max_duration_in_seconds max_length
    max_seq_length max_source_length metric_name mixed_precision model_name_or_path model_revision
    nproc_per_node num_processes num_train_epochs optim output_dir per_device_train_batch_size
    predict_with_generate pretrained_model_name_or_path random_flip rank remove_unused_columns
    resolution revision save_strategy save_total_limit source_lang source_prefix summary_column
    target_lang task text_column text_column_names text_column_name train_batch_size
    train_data_dir train_dir train_file use_8bit_adam use_cpu use_fsdp use_peft validation_dir
    validation_file warmup_steps
    """.split()  # noqa: SIM905 -- a list of names reads better
)


def run(entry: Entry, task: ModelTask, training: Training, **changes: object) -> Run:
    made = Run(
        entry=entry,
        task=task,
        training=training,
        accumulation=2,
        epochs=3,
        learning_rate=2e-5,
        warmup_share=0.1,
        examples=8_000,
    )
    return msgspec.structs.replace(made, **changes)


@pytest.mark.parametrize("task", [t for t in ModelTask if t is not ModelTask.FEATURE_EXTRACTION])
@pytest.mark.parametrize("method", list(Method))
def test_every_task_has_a_line_of_known_options(
    entry: Callable[..., Entry], task: ModelTask, method: Method
) -> None:
    training = Training(method=method, devices=4, sharding=Sharding.FSDP, checkpointing=True)
    (line,) = training_commands(run(entry(), task, training))
    assert "org/one" in line
    assert set(re.findall(r"--(\w+)", line)) <= KNOWN
    assert "deployopt" not in line


def test_numbers_are_those_that_were_computed(entry: Callable[..., Entry]) -> None:
    training = Training(batch=16, length=200, precision=Precision.FP16)
    (line,) = training_commands(run(entry(), ModelTask.TEXT_CLASSIFICATION, training))
    assert line.startswith("accelerate launch --num_processes 1 examples/pytorch/")
    for words in (
        "--per_device_train_batch_size 16", "--gradient_accumulation_steps 2",
        "--num_train_epochs 3", "--learning_rate 2e-05", "--warmup_steps 0.1", "--fp16",
        "--max_seq_length 200", "--load_best_model_at_end",
    ):  # fmt: skip
        assert words in line
    assert "--bf16" not in line


def test_several_gpus_are_started_by_torchrun_or_sharded(entry: Callable[..., Entry]) -> None:
    task = ModelTask.TEXT_CLASSIFICATION
    ddp = Training(devices=4, sharding=Sharding.DDP)
    (line,) = training_commands(run(entry(), task, ddp))
    assert line.startswith("torchrun --nproc_per_node 4 ")
    (line,) = training_commands(run(entry(), task, Training(devices=4, sharding=Sharding.FSDP)))
    assert line.startswith("accelerate launch --num_processes 4 --use_fsdp")


def test_language_models_go_through_trl(entry: Callable[..., Entry]) -> None:
    training = Training(method=Method.QLORA, rank=16, optimizer=Optimizer.ADAMW_8BIT)
    (line,) = training_commands(run(entry(), ModelTask.TEXT_GENERATION, training))
    assert line.startswith("trl sft --model_name_or_path org/one")
    assert "--use_peft --lora_r 16 --lora_alpha 32" in line
    assert "--load_in_4bit" in line
    assert "--optim adamw_bnb_8bit" in line
    (full,) = training_commands(run(entry(), ModelTask.TEXT_GENERATION, Training()))
    assert "peft" not in full


def test_diffusion_has_a_script_for_adapters_and_one_for_large_models(
    entry: Callable[..., Entry],
) -> None:
    task = ModelTask.TEXT_TO_IMAGE
    training = Training(method=Method.LORA, batch=8)
    (line,) = training_commands(run(entry("sd", image_size=512), task, training))
    assert "train_text_to_image_lora.py" in line
    assert "--rank 16" in line
    # 8000 examples / (8 x 2) x 3 epochs x 10 %
    assert "--lr_warmup_steps 150" in line
    (line,) = training_commands(run(entry("sdxl"), task, Training()))
    assert "train_text_to_image_sdxl.py" in line
    assert "--rank" not in line


def test_a_revision_is_pinned_and_t5_is_told_its_task(entry: Callable[..., Entry]) -> None:
    one = entry("t5-small", revision="abc")
    (line,) = training_commands(run(one, ModelTask.SUMMARIZATION, Training()))
    assert "--model_revision abc" in line
    assert '--source_prefix "summarize: "' in line


def test_what_no_hub_has_gets_no_line(entry: Callable[..., Entry]) -> None:
    here = entry(repository=None)
    assert training_commands(run(here, ModelTask.TEXT_CLASSIFICATION, Training())) == ()


def test_a_cpu_is_told_to_the_script(entry: Callable[..., Entry]) -> None:
    training = Training(precision=Precision.FP32)
    (line,) = training_commands(run(entry(), ModelTask.TEXT_CLASSIFICATION, training, cpu=True))
    assert "--use_cpu" in line
    assert "--fp16" not in line


def test_the_best_answers_are_kept_by_f1_as_no_loss_is_there(entry: Callable[..., Entry]) -> None:
    (line,) = training_commands(
        run(entry(), ModelTask.QUESTION_ANSWERING, Training(method=Method.FULL))
    )
    assert "--metric_for_best_model f1" in line
    assert "--load_best_model_at_end" in line


def test_a_model_of_english_alone_is_told_no_language(entry: Callable[..., Entry]) -> None:
    for repository, told in (("org/whisper-small", True), ("org/distil-small.en", False)):
        made = run(
            entry(repository=repository),
            ModelTask.SPEECH_RECOGNITION,
            Training(method=Method.FULL),
        )
        (line,) = training_commands(made)
        assert ("--language en" in line) is told
