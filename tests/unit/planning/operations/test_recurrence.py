"""The work of layers with a state."""

import pytest

from deployopt.planning.architectures import read_architecture
from deployopt.planning.operations import decode_facts, prefill_facts

MAMBA = read_architecture({"model_type": "mamba"})


def macs(operations: object) -> float:
    return sum(o.macs * o.count for o in operations)  # type: ignore[attr-defined]


def test_one_more_token_costs_the_same_after_any_text() -> None:
    near, far = (decode_facts(MAMBA, batch=1, context=n).operations for n in (1, 50_000))
    assert macs(near) == macs(far)


def test_a_prompt_costs_as_many_times_a_token_as_it_has_tokens() -> None:
    one, many = (prefill_facts(MAMBA, batch=1, prompt=n) for n in (1, 65))
    head = MAMBA.vocabulary * 768
    assert macs(many.operations) - head == pytest.approx(65 * (macs(one.operations) - head))


def test_a_token_passes_every_parameter_of_the_layers_once() -> None:
    products = sum(
        o.macs * o.count
        for o in decode_facts(MAMBA, batch=1, context=9).operations
        if o.kind == "gemm"
    )
    norms = 33 * 768
    assert products == MAMBA.parameters - norms


def test_hybrids_attend_in_fewer_layers() -> None:
    jamba = read_architecture({"model_type": "jamba", "num_experts": 1})
    near, far = (macs(decode_facts(jamba, batch=1, context=n).operations) for n in (1000, 2000))
    assert far - near == 4 * 1000 * 2 * 32 * 128
