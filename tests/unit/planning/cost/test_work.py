"""Operations of a training run."""

import pytest

from deployopt.core.architecture import Architecture, Stack
from deployopt.core.memory import Method, Training
from deployopt.core.plan import Operation
from deployopt.planning.cost.work import example_flops, forwards, repeats, trained_parameters


def decoder(layers: int = 32, hidden: int = 4096) -> Architecture:
    stack = Stack(
        name="decoder", layers=layers, hidden=hidden, heads=32, kv_heads=32,
        head_dim=hidden // 32, ffn=11008, gated=True, causal=True, rms=True,
    )  # fmt: skip
    return Architecture(
        model_type="llama", stacks=(stack,), vocabulary=32000, parameters=6_738_415_616, basis="x"
    )


def flops(model: Architecture, training: Training) -> float:
    return sum(example_flops(model, training).values())


def test_full_training_is_six_operations_a_parameter_and_token() -> None:
    found = flops(decoder(), Training(length=512))
    inside = 6 * (6_738_415_616 - 32000 * 4096) * 512
    attention = 3 * 2 * 2 * 4096 * (512 * 513 / 2) * 32
    assert found == pytest.approx(inside + attention, rel=0.001)


@pytest.mark.parametrize(
    ("training", "work"),
    [
        (Training(), 3),
        (Training(checkpointing=True), 4),
        (Training(method=Method.LORA), 2),
        (Training(method=Method.QLORA, checkpointing=True), 3),
        (Training(method=Method.FREEZE, trained_share=0.5), 2),
        (Training(method=Method.FREEZE, trained_share=0.5, checkpointing=True), 2.5),
    ],
)
def test_forwards_an_example(training: Training, work: float) -> None:
    assert forwards(training) == work


def test_length_is_bounded_by_positions() -> None:
    stack = Stack(name="encoder", layers=2, hidden=64, heads=2, kv_heads=2, head_dim=32, ffn=128)
    short = Architecture(
        model_type="bert",
        stacks=(stack,),
        learned_positions=True,
        positions=128,
        parameters=10_000,
        basis="x",
    )
    assert flops(short, Training(length=4096)) == flops(short, Training(length=128))
    assert flops(short, Training(length=64)) < flops(short, Training(length=128))


def test_images_go_by_their_operators_and_not_by_length() -> None:
    net = Architecture(
        model_type="resnet",
        operations=(
            Operation(kind="conv3x3", macs=1e9, weights=1, activations=1, count=2),
            Operation(kind="elementwise", macs=0, weights=0, activations=1),
        ),
        parameters=1_000_000,
        basis="x",
    )
    assert example_flops(net, Training(length=7)) == {"conv3x3": 12e9}


def test_a_diffusion_model_trains_one_step_of_the_many_that_it_runs() -> None:
    one = Operation(kind="conv3x3", macs=1e9, weights=1e6, activations=1, count=10)
    many = Operation(kind="conv3x3", macs=1e9, weights=1e6, activations=1, count=500)
    nets = [
        Architecture(model_type="unet", operations=(each,), parameters=10_000_000, basis="x")
        for each in (one, many)
    ]
    assert [repeats(net) for net in nets] == [1, 50]
    assert flops(nets[1], Training()) == pytest.approx(flops(nets[0], Training()))


def test_a_mixture_works_with_the_experts_that_a_token_is_sent_to() -> None:
    stack = Stack(
        name="decoder", layers=4, hidden=256, heads=4, kv_heads=4, head_dim=64, ffn=0,
        gated=True, causal=True, experts=8, experts_used=2, expert_ffn=512,
    )  # fmt: skip
    model = Architecture(model_type="mixtral", stacks=(stack,), parameters=10_000_000, basis="x")
    dense = Stack(
        name="decoder", layers=4, hidden=256, heads=4, kv_heads=4, head_dim=64, ffn=1024,
        gated=True, causal=True,
    )  # fmt: skip
    twin = Architecture(model_type="llama", stacks=(dense,), parameters=10_000_000, basis="x")
    found, like = flops(model, Training(length=64)), flops(twin, Training(length=64))
    assert found == pytest.approx(like, rel=0.01)


def test_a_model_of_unknown_shape_goes_by_its_parameters() -> None:
    bare = Architecture(model_type="none", parameters=1000, basis="x")
    assert flops(bare, Training(length=10)) == 6 * 1000 * 10


def test_trained_parameters() -> None:
    model = decoder()
    assert trained_parameters(model, Training()) == model.parameters
    half = Training(method=Method.FREEZE, trained_share=0.25)
    assert trained_parameters(model, half) == model.parameters / 4
    assert trained_parameters(model, Training(method=Method.LORA)) == 0
