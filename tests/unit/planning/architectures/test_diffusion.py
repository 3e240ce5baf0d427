"""What one image of a pipeline takes, by the configs of its parts."""

from typing import Any

import msgspec
import pytest

from deployopt.catalogue.models import find_entry
from deployopt.core.artifact import Precision
from deployopt.core.errors import UsageError
from deployopt.core.workload import Workload
from deployopt.planning.architectures.diffusion import (
    Drawn,
    pipeline_architecture,
    read_unet,
    unet_operations,
    weights_of,
)
from deployopt.planning.architectures.keys import Keys
from deployopt.planning.memory.inference import graph_need, inference_need
from deployopt.planning.operations import facts_of
from deployopt.planning.targets import load_target
from tests.fakes.pipeline_folder import CONFIGS

GUIDED = Drawn(steps=30, prompts=2)
# Stable Diffusion 1.5, as its configs on the hub have it.
ONE: dict[str, dict[str, Any]] = {
    "text_encoder": {
        "vocab_size": 49408, "hidden_size": 768, "intermediate_size": 3072,
        "num_hidden_layers": 12, "num_attention_heads": 12, "max_position_embeddings": 77,
    },
    "unet": {
        "sample_size": 64, "in_channels": 4, "block_out_channels": [320, 640, 1280, 1280],
        "layers_per_block": 2, "cross_attention_dim": 768,
        "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
        "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
    },
    "vae": {
        "block_out_channels": [128, 256, 512, 512], "layers_per_block": 2, "latent_channels": 4,
        "up_block_types": ["UpDecoderBlock2D"] * 4,
    },
}  # fmt: skip


def test_stable_diffusion_has_its_published_parameters() -> None:
    shape = pipeline_architecture(ONE, GUIDED)
    entry = find_entry("sd-1.5")
    assert shape.parameters == entry.parameters == 1_032_071_643
    unet = unet_operations(read_unet(Keys(values=ONE["unet"]), 77))
    assert weights_of(unet) == 859_520_964
    theirs = sum(one.macs * one.count for one in entry.operations)
    ours = sum(one.macs * one.count for one in shape.operations)
    assert ours == pytest.approx(theirs, rel=1e-3)
    assert shape.activations == entry.activations


def test_steps_and_prompts_are_passes_of_the_unet() -> None:
    def macs(drawn: Drawn) -> float:
        return sum(one.macs * one.count for one in pipeline_architecture(ONE, drawn).operations)

    step = macs(Drawn(steps=2, prompts=1)) - macs(Drawn(steps=1, prompts=1))
    assert step == pytest.approx(401.64e9, rel=1e-3)
    twice = macs(Drawn(steps=2, prompts=2)) - macs(Drawn(steps=1, prompts=2))
    assert twice == pytest.approx(2 * step)


def test_a_config_without_a_middle_and_with_several_depths() -> None:
    unet = {**ONE["unet"], "mid_block_type": None, "transformer_layers_per_block": [1, 2, 3, 1]}
    net = read_unet(Keys(values=unet), 77)
    assert not net.middle
    assert [stage.depth for stage in net.stages] == [1, 2, 3, 0]
    fewer = weights_of(unet_operations(read_unet(Keys(values=ONE["unet"]), 77)))
    assert weights_of(unet_operations(net)) != fewer


def test_memory_on_a_cpu_is_what_was_measured() -> None:
    # A pipeline of these sizes, opened and run twice in ONNX Runtime 1.32: 1025 and 1138 MiB.
    unet = {**ONE["unet"], "sample_size": 32, "block_out_channels": [96, 192, 384, 384],
        "cross_attention_dim": 32, "attention_head_dim": 8}  # fmt: skip
    vae = {**ONE["vae"], "block_out_channels": [64, 128, 256, 256]}
    parts = {"text_encoder": CONFIGS["text_encoder"], "unet": unet, "vae": vae}
    shape = pipeline_architecture(parts, Drawn(steps=20, prompts=2))
    need = inference_need(
        shape, target=load_target("x86-cpu"), precision=Precision.FP32, batch=1, context=None
    )
    assert need.total.lower < 1138 * 2**20 < need.total.upper
    both = inference_need(
        shape, target=load_target("x86-cpu"), precision=Precision.FP32, batch=2, context=None
    )
    assert both.total.value > need.total.value + shape.cpu_bytes
    # On a card nothing is packed.
    card = inference_need(
        shape, target=load_target("rtx3060"), precision=Precision.FP32, batch=1, context=None
    )
    assert "packing and arenas" in {one.name for one in need.parts}
    assert "packing and arenas" not in {one.name for one in card.parts}
    facts = facts_of(shape, Workload(batch=2))
    assert facts.cpu_bytes == 2 * shape.cpu_bytes
    graph = graph_need(load_target("x86-cpu"), facts, Precision.FP32)
    assert graph.total.value == pytest.approx(both.total.value)


def test_attentions_scores_are_written_out_as_the_graphs_do() -> None:
    shape = pipeline_architecture(ONE, GUIDED)
    # Two prompts, eight heads, 4096 positions, before and after they are normalised.
    assert shape.score_elements == 2 * 2 * 8 * 4096**2
    facts = facts_of(shape, Workload())
    assert facts.score_elements == shape.score_elements
    without = msgspec.structs.replace(facts, score_elements=0)
    card = load_target("rtx3060")
    for precision, width in ((Precision.FP32, 4), (Precision.FP16, 2)):
        alive = [
            next(p.bytes for p in graph_need(card, one, precision).parts if p.name == "activations")
            for one in (facts, without)
        ]
        assert alive == [2 * width * shape.score_elements, 2 * facts.peak_activation_bytes]
    by_hand = inference_need(shape, target=card, precision=Precision.FP16, batch=1, context=None)
    assert by_hand.total.value == graph_need(card, facts, Precision.FP16).total.value
    # A CPU's share of them is in what was measured there.
    here = load_target("x86-cpu")
    assert graph_need(here, facts, Precision.FP32) == graph_need(here, without, Precision.FP32)


def test_scores_take_time_and_no_weights() -> None:
    net = read_unet(Keys(values=ONE["unet"]), 77)
    plain = unet_operations(net)
    written = unet_operations(msgspec.structs.replace(net, written=True))
    assert weights_of(written) == weights_of(plain)
    assert sum(o.macs for o in written) == sum(o.macs for o in plain)
    more = sum(o.activations for o in written) - sum(o.activations for o in plain)
    # Five blocks at 64 positions a side, five at 32, five at 16, one at 8: each score is written,
    # read, written and read once.
    within = sum(n * (side * side) ** 2 for n, side in ((5, 64), (5, 32), (5, 16), (1, 8)))
    across = sum(n * side * side * 77 for n, side in ((5, 64), (5, 32), (5, 16), (1, 8)))
    assert more == 4 * 8 * (within + across)


@pytest.mark.parametrize(
    ("part", "changed", "said"),
    [
        ("unet", {"down_block_types": ["KDownBlock2D"] * 2}, "KDownBlock2D; the blocks"),
        ("unet", {"down_block_types": ["DownBlock2D"]}, "2 blocks is needed"),
        ("unet", {"up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"]}, "in reverse"),
        ("unet", {"mid_block_type": "UNetMidBlock2DSimpleCrossAttn"}, "mid_block_type"),
        ("unet", {"block_out_channels": "32"}, "block_out_channels"),
        ("unet", {"layers_per_block": [1, 2, 3]}, "layers_per_block"),
        ("unet", {"resnet_time_scale_shift": "scale_shift"}, "resnet_time_scale_shift"),
        ("unet", {"sample_size": [8, 8, 8]}, "sample_size"),
        ("unet", {"sample_size": 1 << 20}, "sample_size"),
        ("vae", {"up_block_types": ["AttnUpDecoderBlock2D"] * 2}, "up_block_types"),
        ("text_encoder", {"hidden_size": -1}, "text_encoder.hidden_size"),
    ],
)
def test_what_is_not_known(part: str, changed: dict[str, Any], said: str) -> None:
    parts = {**CONFIGS, part: {**CONFIGS[part], **changed}}
    with pytest.raises(UsageError, match=said):
        pipeline_architecture(parts, GUIDED)
