"""Which precisions a target computes in."""

import pytest

from deployopt.core.artifact import Precision
from deployopt.planning.fitting.arithmetic import arithmetic, training_precision, usual_precisions
from deployopt.planning.targets import load_target
from tests.fakes.transformers_shapes import decoder, encoder


@pytest.mark.parametrize(
    ("target", "precision", "supported", "note"),
    [
        ("rtx3060", Precision.FP16, True, ""),
        ("rtx3060", Precision.INT4, True, "int4 weights, computed in bf16"),
        ("t4", Precision.BF16, False, "stored in bf16, computed in fp32"),
        ("t4", Precision.TF32, False, "no tf32 here: fp32 weights, computed in fp32"),
        ("rpi4", Precision.FP16, False, "stored in fp16, computed in fp32"),
        ("rpi4", Precision.INT4, True, "int4 weights, computed in fp32"),
        ("a100", Precision.FP8, False, "fp8 weights, computed in bf16"),
        ("h100", Precision.FP8, True, ""),
    ],
)
def test_what_a_target_does(target: str, precision: Precision, supported: bool, note: str) -> None:  # noqa: FBT001 -- a column of the table
    assert arithmetic(load_target(target), precision) == (supported, note)


def test_four_bits_are_for_models_that_generate() -> None:
    card = load_target("rtx3060")
    assert Precision.INT4 in usual_precisions(card, decoder())
    assert Precision.INT4 not in usual_precisions(card, encoder())


@pytest.mark.parametrize(
    ("target", "precision"),
    [("a100", Precision.BF16), ("t4", Precision.FP16), ("rpi5", Precision.FP32)],
)
def test_what_is_trained_in(target: str, precision: Precision) -> None:
    assert training_precision(load_target(target)) is precision
