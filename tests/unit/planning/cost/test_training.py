"""Hours of training against published runs, and their price."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployopt.core.architecture import Architecture, Stack
from deployopt.core.artifact import Precision
from deployopt.core.errors import UsageError
from deployopt.core.evidence import Estimate
from deployopt.core.memory import Method, Sharding, Training
from deployopt.core.plan import Operation
from deployopt.planning.cost.reading import read_prices
from deployopt.planning.cost.training import training_cost, training_hours
from deployopt.planning.targets import load_target, target_names

PRICES = read_prices(None)
TARGETS = {name: load_target(name) for name in target_names()}
BERT_LARGE = Architecture(
    model_type="bert",
    stacks=(
        Stack(name="encoder", layers=24, hidden=1024, heads=16, kv_heads=16, head_dim=64, ffn=4096),
    ),
    positions=512,
    parameters=335_000_000,
    basis="x",
)
RESNET = Architecture(
    model_type="resnet",
    operations=(
        Operation(kind="conv3x3", macs=4.1e9 / 53, weights=4.8e5, activations=1e6, count=53),
    ),
    parameters=25_600_000,
    basis="x",
)
LLAMA = Architecture(
    model_type="llama",
    stacks=(
        Stack(
            name="decoder", layers=32, hidden=4096, heads=32, kv_heads=32, head_dim=128,
            ffn=11008, gated=True, causal=True,
        ),
    ),
    vocabulary=32000,
    parameters=6_738_415_616,
    basis="x",
)  # fmt: skip


def hours(
    model: Architecture, training: Training, name: str = "a100", examples: int = 100_000
) -> Estimate:
    found = training_hours(model, training, target=TARGETS[name], examples=examples, epochs=1)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("model", "precision", "batch", "devices", "measured"),
    [
        # NVIDIA DeepLearningExamples: BERT for PyTorch, SQuAD at 384 tokens, A100 40 GB (2020-06),
        # and ResNet-50 v1.5 for PyTorch, A100 80 GB (2021-03); examples a second.
        (BERT_LARGE, Precision.FP16, 32, 1, 116),
        (BERT_LARGE, Precision.TF32, 16, 1, 44),
        (BERT_LARGE, Precision.FP16, 32, 4, 441),
        (BERT_LARGE, Precision.TF32, 16, 4, 165),
        (RESNET, Precision.FP16, 256, 1, 2470),
        (RESNET, Precision.TF32, 256, 1, 938),
    ],
)
def test_published_runs_lie_well_inside_the_band(
    model: Architecture, precision: Precision, batch: int, devices: int, measured: float
) -> None:
    training = Training(
        precision=precision, batch=batch, length=384, devices=devices, sharding=Sharding.DDP
    )
    found = hours(model, training, "a100x4" if devices > 1 else "a100")
    took = 100_000 / measured / 3600
    assert found.lower < took < found.upper
    assert 1 / 1.4 < took / found.value < 1.4


@given(
    name=st.sampled_from(sorted(TARGETS)),
    method=st.sampled_from(Method),
    batch=st.integers(1, 512),
    length=st.integers(1, 4096),
    examples=st.integers(1, 10**7),
)
def test_hours_are_above_zero_and_grow_with_examples(
    name: str, method: Method, batch: int, length: int, examples: int
) -> None:
    training = Training(method=method, precision=Precision.FP32, batch=batch, length=length)
    found = hours(LLAMA, training, name, examples)
    assert 0 < found.lower < found.value < found.upper
    assert hours(LLAMA, training, name, 2 * examples).value > found.value


def test_a_target_without_the_precision_predicts_nothing() -> None:
    for name, precision in (("t4", Precision.BF16), ("rpi4", Precision.FP16)):
        training = Training(precision=precision)
        target = TARGETS[name]
        assert training_hours(LLAMA, training, target=target, examples=1, epochs=1) is None


def test_larger_batches_and_frozen_bases_take_less() -> None:
    small, large = (hours(LLAMA, Training(batch=batch)).value for batch in (1, 16))
    assert large < small
    lora = hours(LLAMA, Training(method=Method.LORA, batch=16)).value
    assert lora < large
    assert hours(LLAMA, Training(method=Method.QLORA, batch=16)).value > lora
    assert hours(LLAMA, Training(batch=16, checkpointing=True)).value > large


def test_four_devices_are_faster_but_not_four_times() -> None:
    one = hours(LLAMA, Training(batch=8), "a100x4").value
    shared = Training(batch=8, devices=4, sharding=Sharding.DDP)
    four = hours(LLAMA, shared, "a100x4").value
    assert one / 4 < four < one / 2


def test_cards_without_a_link_wait_for_the_bus() -> None:
    linked = TARGETS["a100x4"]
    gpu = linked.hardware.gpu
    assert gpu is not None
    hardware = msgspec.structs.replace(
        linked.hardware, gpu=msgspec.structs.replace(gpu, interconnect=None)
    )
    plain = msgspec.structs.replace(linked, hardware=hardware)
    training = Training(batch=1, devices=4, sharding=Sharding.FSDP)
    slow = training_hours(LLAMA, training, target=plain, examples=1000, epochs=1)
    assert slow is not None
    assert slow.value > 2 * hours(LLAMA, training, "a100x4", 1000).value


@pytest.mark.parametrize(
    ("training", "examples", "epochs"),
    [
        (Training(), 0, 1),
        (Training(), -5, 1),
        (Training(), 10, 0),
        (Training(batch=0), 10, 1),
        (Training(devices=2), 10, 1),
        (Training(), 10**13, 1),
    ],
)
def test_what_is_no_run_is_refused(training: Training, examples: int, epochs: int) -> None:
    with pytest.raises(UsageError):
        training_hours(LLAMA, training, target=TARGETS["l4"], examples=examples, epochs=epochs)


def test_a_run_costs_its_hours_at_the_cloud_rate() -> None:
    run = Estimate(value=10.0, lower=5.0, upper=20.0, basis="a test")
    found = training_cost(TARGETS["a100"], run, PRICES)
    assert found is not None
    assert found.value == pytest.approx(10 * 1.85)
    assert found.lower < 10 * 1.2
    assert found.upper > 20 * 1.85
    assert "prices of 2024" in found.basis


def test_without_a_cloud_of_its_own_the_card_is_written_off() -> None:
    run = Estimate(value=10.0, lower=5.0, upper=20.0, basis="a test")
    found = training_cost(TARGETS["rtx3060"], run, PRICES)
    assert found is not None
    assert "own rtx3060" in found.basis
    electricity = 10 * 0.195 * 0.165
    written_off = 10 / (24 * 0.3) * (1029 * (1 / 3 + 0.05) / 365.25 + 0.055 * 24 * 0.165)
    assert found.value == pytest.approx(electricity + written_off)


def test_no_price_is_none() -> None:
    run = Estimate(value=1.0, lower=0.5, upper=2.0, basis="a test")
    hardware = msgspec.structs.replace(TARGETS["rpi4"].hardware, price=None)
    bare = msgspec.structs.replace(TARGETS["rpi4"], hardware=hardware)
    assert training_cost(bare, run, PRICES) is None


def test_an_update_goes_over_every_trained_weight_and_its_states() -> None:
    full = hours(LLAMA, Training(length=1), examples=3600).value
    lora = hours(LLAMA, Training(method=Method.LORA, length=1), examples=3600).value
    update_s = 6_738_415_616 * 28 / (0.7 * float(TARGETS["a100"].hardware.bandwidth))
    assert full - lora == pytest.approx(update_s, rel=0.01)
