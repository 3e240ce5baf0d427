"""What vLLM is told follows from the model's shape and the target's memory."""

from pathlib import Path

import pytest

from deployopt.catalogue.models import find_entry
from deployopt.core.architecture import Architecture
from deployopt.core.artifact import Precision
from deployopt.core.errors import CannotFitError, UsageError
from deployopt.core.exporting import ExportRequest
from deployopt.pipeline.exporting.vllm import ONLINE, OPTIONS, VERSION, Recipe, vllm_recipe
from deployopt.planning.entries import architecture_of
from deployopt.planning.targets import load_target

# Of vLLM 0.33.0: vllm/engine/arg_utils.py, add_cli_args; and the methods of quantization of
# vllm/model_executor/layers/quantization/__init__.py that need no checkpoint of their own.
VLLM_033 = {
    "dtype", "enforce-eager", "gpu-memory-utilization", "kv-cache-dtype", "load-format",
    "max-model-len", "max-num-batched-tokens", "max-num-seqs", "model", "pipeline-parallel-size",
    "quantization", "quantization-config", "revision", "seed", "served-model-name",
    "tensor-parallel-size", "tokenizer", "tokenizer-revision", "trust-remote-code",
}  # fmt: skip
ONLINE_033 = {
    "fp8_per_tensor", "fp8_per_block", "fp8_per_channel", "int8_per_channel_weight_only",
    "nvfp4_per_token", "mxfp8",
}  # fmt: skip
DTYPES_033 = {"auto", "half", "float16", "bfloat16", "float", "float32"}


def shape(alias: str) -> Architecture:
    return architecture_of(find_entry(alias))


def recipe(alias: str, target: str | None, **asked: object) -> Recipe:
    request = ExportRequest(
        source=alias,
        form="vllm",
        output=Path("out"),
        target=None if target is None else load_target(target),
        **asked,  # type: ignore[arg-type]
    )
    return vllm_recipe(request, alias, shape(alias))


def test_names_are_those_of_the_version_that_is_told() -> None:
    assert VERSION == "0.33"
    assert OPTIONS <= VLLM_033
    assert set(ONLINE.values()) <= ONLINE_033


@pytest.mark.parametrize(
    ("alias", "target", "precision", "devices", "quantization"),
    [
        ("smollm2-135m", "t4", Precision.FP16, 1, None),
        ("llama-3.1-8b", "l4", Precision.BF16, 1, None),
        ("qwen2.5-7b", "rtx3060", Precision.INT4, 1, None),
        ("qwen2.5-14b", "l4", Precision.FP8, 1, "fp8_per_tensor"),
        ("llama-3.1-70b", "a100x4", Precision.INT8, 4, "int8_per_channel_weight_only"),
        ("qwen2.5-32b", "a100x4", Precision.BF16, 2, None),
    ],
)
def test_the_highest_precision_that_fits_over_as_few_cards_as_do(
    alias: str, target: str, precision: Precision, devices: int, quantization: str | None
) -> None:
    found = recipe(alias, target)
    settings = found.settings
    assert (found.precision, settings["tensor-parallel-size"]) == (precision, devices)
    assert settings.get("quantization") == quantization
    assert set(settings) <= OPTIONS
    assert settings["dtype"] in DTYPES_033
    assert 0 < float(settings["gpu-memory-utilization"]) <= 0.95
    assert 1 <= int(settings["max-num-seqs"]) <= 256
    assert 32 <= int(settings["max-model-len"]) <= (shape(alias).positions or 0)
    assert found.predicted["memory_bytes"].upper > 0
    assert found.exit_code == 0


def test_a_context_that_was_asked_for_is_counted_with() -> None:
    short, long = recipe("llama-3.1-8b", "l4", context=1024), recipe("llama-3.1-8b", "l4")
    assert short.settings["max-model-len"] == 1024
    assert int(short.settings["max-num-seqs"]) > int(long.settings["max-num-seqs"])
    assert int(long.settings["max-model-len"]) % 16 == 0
    for wrong in (0, 31, 200_000):
        with pytest.raises(UsageError, match="--context"):
            recipe("llama-3.1-8b", "l4", context=wrong)


def test_a_precision_that_was_asked_for() -> None:
    assert recipe("smollm2-135m", "l4", precision=Precision.INT8).settings["quantization"]
    assert recipe("smollm2-135m", "l4", precision=Precision.FP32).settings["dtype"] == "float32"
    assert recipe("smollm2-135m", "t4", precision=Precision.INT8).settings["dtype"] == "float16"
    for target, precision in (("t4", Precision.BF16), ("t4", Precision.FP8), ("l4", Precision.NF4)):
        with pytest.raises(UsageError, match=f"no way to {precision}"):
            recipe("smollm2-135m", target, precision=precision)


def test_what_fits_in_none_says_what_would() -> None:
    with pytest.raises(CannotFitError, match=r"does not fit t4.*h100"):
        recipe("llama-3.1-70b", "t4")
    with pytest.raises(CannotFitError, match="131,072 tokens"):
        recipe("llama-3.1-8b", "t4", context=131_072)


def test_it_takes_a_target_with_a_gpu() -> None:
    with pytest.raises(UsageError, match="--target"):
        recipe("smollm2-135m", None)
    with pytest.raises(UsageError, match="deployopt build --target rpi5"):
        recipe("smollm2-135m", "rpi5")
