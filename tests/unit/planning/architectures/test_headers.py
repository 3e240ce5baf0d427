"""Weights' headers beside a config: which total stands, and what is said about it."""

import msgspec
import pytest

from deployopt.core.architecture import Architecture
from deployopt.core.weights import StoredWeights
from deployopt.planning.architectures import read_architecture

GPT2: dict[str, object] = {"model_type": "gpt2", "torch_dtype": "float32"}
PARAMETERS = 124_439_808


def stored(elements: dict[str, int], size: int, **tensors: tuple[int, ...]) -> StoredWeights:
    named = {name.replace("__", "."): shape for name, shape in tensors.items()}
    return StoredWeights(elements=elements, bytes=size, tensors=named)


def read(weights: StoredWeights, config: dict[str, object] = GPT2) -> Architecture:
    return read_architecture(config, weights)


def test_the_headers_total_stands() -> None:
    found = read(stored({"BF16": 124_000_000}, 248_000_000))
    assert found.parameters == 124_000_000
    assert (found.dtype, found.stored_bytes) == ("bfloat16", 248_000_000)
    assert found.stored == {"bfloat16": 124_000_000}
    assert found.basis.startswith("config.json and the headers of 1 weight file; sizes that")


def test_a_difference_above_one_percent_is_said_with_both_numbers() -> None:
    found = read(stored({"F32": 130_000_000}, 520_000_000))
    assert "4.5% more parameters" in found.basis
    assert "130,000,000 against 124,439,808" in found.basis
    assert "4.1% fewer" in read(stored({"F32": 119_380_000}, 1)).basis


def test_masks_are_no_parameters_and_a_tied_head_counts_once() -> None:
    mask, head = 1024 * 1024, 50257 * 768
    weights = stored(
        {"F32": PARAMETERS + 12 * mask + head},
        1,
        lm_head__weight=(50257, 768),
        wte__weight=(50257, 768),
        **{f"h__{layer}__attn__bias": (1, 1, 1024, 1024) for layer in range(12)},
    )
    assert read(weights).parameters == PARAMETERS


def test_a_tied_table_that_is_stored_as_the_head_alone_counts() -> None:
    weights = stored({"F32": PARAMETERS}, 1, lm_head__weight=(50257, 768))
    assert read(weights).parameters == PARAMETERS


def test_a_head_of_its_own_counts() -> None:
    untied: dict[str, object] = {"model_type": "llama", "hidden_size": 64, "vocab_size": 1000}
    total = read_architecture(untied).parameters
    weights = stored({"F16": total}, 2 * total, lm_head__weight=(1000, 64))
    assert read(weights, untied).parameters == total


@pytest.mark.parametrize("dtype", ["I32", "U8"])
def test_packed_weights_leave_the_configs_count(dtype: str) -> None:
    packed: dict[str, object] = {"model_type": "llama", "torch_dtype": "float16"}
    found = read(stored({dtype: 900_000_000, "F16": 270_000_000}, 4_000_000_000), packed)
    assert found.parameters == 6_738_415_616
    assert (found.dtype, found.stored_bytes) == ("float16", 4_000_000_000)
    assert "packed into one stored number" in found.basis


def test_int8_weights_are_not_packed() -> None:
    found = read(stored({"I8": 124_000_000, "F32": 400_000}, 125_600_000))
    assert (found.parameters, found.dtype) == (124_400_000, "int8")


def test_headers_without_a_tensor_leave_everything_as_it_is() -> None:
    empty = read(StoredWeights(elements={}, bytes=0, files=0))
    assert msgspec.structs.replace(empty, stored_bytes=None) == read_architecture(GPT2)
