"""Count the operators of an image model for the catalogue: what no config describes.

python tools/count_operators.py                 names the models that it can count
python tools/count_operators.py resnet-50 ...   prints their parameters, activations and operations

The class from transformers, at its true shape with random weights, is exported for one image and
its graph counted, summed by kind. Run once by a developer, who pastes the output into
deployopt/catalogue/models.toml. Needs the [build] install; takes up to a minute a model.
"""

import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import torch
import transformers

from deployopt.core.plan import Facts, Operation
from deployopt.graph.counting import facts_from_graph

OPSET: Final = 17
SHAPE_SIZES: Final = 64
"""Elements up to which an elementwise node is arithmetic on shapes, which a runtime folds away."""
FLOAT_BYTES: Final = 4
KINDS: Final = ("conv", "conv1x1", "conv3x3", "depthwise", "gemm", "elementwise")
_DETR_SIZE: Final = (800, 1066)  # the short side that it is asked with, at COCO's usual 4:3
_YOLOS_TINY: Final = 192
_SEGFORMER: Final = "SegformerForSemanticSegmentation"
_UPERNET: Final = "UperNetForSemanticSegmentation"


class Net(msgspec.Struct, frozen=True, kw_only=True):
    """A class of transformers with what its config says; `size` is the image's height and width."""

    name: str
    config: Mapping[str, Any]
    size: tuple[int, int]
    change: Callable[[Any], None] | None = None
    """What is done to the module before it is exported."""


def _without_squeezing(module: Any) -> None:  # noqa: ANN401 -- a torch module of any class
    """The lite family has no squeeze-and-excitation."""
    for block in module.efficientnet.encoder.blocks:
        block.squeeze_excite = torch.nn.Identity()


class Resized(torch.nn.Module):  # type: ignore[misc]
    """Stands for adaptive pooling, which ONNX lacks where sizes do not divide: no products."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """The map at the asked side."""
        return torch.nn.functional.interpolate(values, size=(self.side, self.side))


def _without_adaptive_pooling(module: Any) -> None:  # noqa: ANN401 -- as above
    for block in module.decode_head.psp_modules.blocks:
        block.layers[0] = Resized(block.layers[0].output_size)


def _classifier(name: str, side: int, **config: Any) -> Net:  # noqa: ANN401 -- a config's values
    return Net(name=name, config={"num_labels": 1000, **config}, size=(side, side))


def _segformer(depths: list[int], sizes: list[int], decoder: int) -> Net:
    config = {"depths": depths, "hidden_sizes": sizes, "decoder_hidden_size": decoder}
    return Net(name=_SEGFORMER, config={**config, "num_labels": 150}, size=(512, 512))


def _upernet(depths: list[int], sizes: list[int]) -> Net:
    stages = ["stage1", "stage2", "stage3", "stage4"]
    backbone = transformers.ConvNextConfig(
        depths=depths, hidden_sizes=sizes, out_features=stages, num_labels=150
    )
    config = {
        "backbone_config": backbone,
        "auxiliary_in_channels": sizes[2],
        "use_auxiliary_head": False,  # used in training only
        "num_labels": 150,
    }
    return Net(name=_UPERNET, config=config, size=(512, 512), change=_without_adaptive_pooling)


def _rt_detr(backbone: Mapping[str, Any], **config: Any) -> Net:  # noqa: ANN401 -- as above
    resnet = transformers.RTDetrResNetConfig(
        out_features=["stage2", "stage3", "stage4"], **backbone
    )
    whole = {"backbone_config": resnet, "num_labels": 80, "anchor_image_size": [640, 640], **config}
    return Net(name="RTDetrForObjectDetection", config=whole, size=(640, 640))


def _yolos(hidden: int, heads: int, trained: tuple[int, int], size: tuple[int, int]) -> Net:
    config = {
        "hidden_size": hidden,
        "num_attention_heads": heads,
        "intermediate_size": 4 * hidden,
        "image_size": list(trained),
        "use_mid_position_embeddings": hidden > _YOLOS_TINY,
        "num_labels": 91,
    }
    return Net(name="YolosForObjectDetection", config=config, size=size)


NETS: Final[dict[str, Net]] = {
    "mobilenet-v2": _classifier("MobileNetV2ForImageClassification", 224, num_labels=1001),
    "efficientnet-lite0": Net(
        name="EfficientNetForImageClassification",
        config={
            "width_coefficient": 1.0, "depth_coefficient": 1.0, "hidden_dim": 1280,
            "hidden_act": "relu6", "num_labels": 1000,
        },
        size=(224, 224),
        change=_without_squeezing,
    ),
    "efficientnet-b0": _classifier(
        "EfficientNetForImageClassification", 224,
        width_coefficient=1.0, depth_coefficient=1.0, hidden_dim=1280,
    ),
    "efficientnet-b3": _classifier(
        "EfficientNetForImageClassification", 300,
        width_coefficient=1.2, depth_coefficient=1.4, hidden_dim=1536,
    ),
    "resnet-18": _classifier(
        "ResNetForImageClassification", 224,
        layer_type="basic", depths=[2, 2, 2, 2], hidden_sizes=[64, 128, 256, 512],
    ),
    "resnet-50": _classifier("ResNetForImageClassification", 224),
    "convnext-tiny": _classifier("ConvNextForImageClassification", 224),
    "convnext-base": _classifier(
        "ConvNextForImageClassification", 224,
        depths=[3, 3, 27, 3], hidden_sizes=[128, 256, 512, 1024],
    ),
    "swin-tiny": _classifier("SwinForImageClassification", 224),
    "yolos-tiny": _yolos(_YOLOS_TINY, 3, (800, 1333), (512, 683)),
    "yolos-small": _yolos(384, 6, (512, 864), _DETR_SIZE),
    "rt-detr-r18": _rt_detr(
        {"layer_type": "basic", "depths": [2, 2, 2, 2], "hidden_sizes": [64, 128, 256, 512]},
        encoder_in_channels=[128, 256, 512], hidden_expansion=0.5, decoder_layers=3,
    ),
    "rt-detr-r50": _rt_detr({}),
    "rt-detr-r101": _rt_detr(
        {"depths": [3, 4, 23, 3]}, encoder_hidden_dim=384, encoder_ffn_dim=2048,
        decoder_in_channels=[384, 384, 384],
    ),
    "detr-resnet-50": Net(
        name="DetrForObjectDetection",
        config={
            "use_timm_backbone": False, "use_pretrained_backbone": False, "backbone": None,
            "backbone_config": transformers.ResNetConfig(out_features=["stage4"]),
            "num_labels": 91,
        },
        size=_DETR_SIZE,
    ),
    "deeplab-v3-mobilenet-v2": Net(
        name="MobileNetV2ForSemanticSegmentation",
        config={"num_labels": 21, "output_stride": 8},
        size=(513, 513),
    ),
    "segformer-b0": _segformer([2, 2, 2, 2], [32, 64, 160, 256], 256),
    "segformer-b2": _segformer([3, 4, 6, 3], [64, 128, 320, 512], 768),
    "segformer-b5": _segformer([3, 6, 40, 3], [64, 128, 320, 512], 768),
    "upernet-convnext-tiny": _upernet([3, 3, 9, 3], [96, 192, 384, 768]),
    "upernet-convnext-base": _upernet([3, 3, 27, 3], [128, 256, 512, 1024]),
}  # fmt: skip


class Outputs(torch.nn.Module):  # type: ignore[misc]
    """The tensors that the model answers with, as a tuple; no cache, no masks."""

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, pixel_values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Logits, and boxes where there are any."""
        found = self.module(pixel_values=pixel_values)
        return tuple(found[name] for name in ("logits", "pred_boxes") if name in found)


def count(net: Net) -> tuple[int, Facts]:
    """Parameters as torch counts them, and the facts of the exported graph for one image."""
    kind = getattr(transformers, net.name)
    module = kind(kind.config_class(**net.config)).eval()
    if net.change is not None:
        net.change(module)
    parameters = sum(one.numel() for one in module.parameters())
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            Outputs(module), (torch.zeros(1, 3, *net.size),), str(path),
            input_names=["pixel_values"], opset_version=OPSET, dynamo=False,
        )  # fmt: skip
        return parameters, facts_from_graph(path, {})


def by_kind(operations: Iterable[Operation]) -> list[Operation]:
    """One record a kind: how many, and the mean of what they do."""
    listed = tuple(one for one in operations if one.macs or one.activations > SHAPE_SIZES)
    found = []
    for kind in KINDS:
        same = [one for one in listed if one.kind == kind]
        times = sum(one.count for one in same)
        if not times:
            continue
        macs, weights, activations = (
            float(round(sum(getattr(one, name) * one.count for one in same) / times))
            for name in ("macs", "weights", "activations")
        )
        found.append(
            Operation(kind=kind, macs=macs, weights=weights, activations=activations, count=times)
        )
    return found


def toml(alias: str, net: Net) -> str:
    """The lines of an entry that follow from the graph, with the sums as a comment."""
    parameters, facts = count(net)
    total = sum(one.macs * one.count for one in facts.operations)
    lines = [
        f"# {alias}: {total / 1e9:.2f} GMAC at {net.size[0]} x {net.size[1]}; {facts.basis}",
        f"parameters = {parameters:_}",
        f"activations = {facts.peak_activation_bytes // FLOAT_BYTES:_}",
        "operations = [",
    ]
    for one in by_kind(facts.operations):
        sizes = (
            f"{name} = {round(getattr(one, name)):_}" for name in ("macs", "weights", "activations")
        )
        lines.append(f'  {{ kind = "{one.kind}", {", ".join(sizes)}, count = {one.count} }},')
    return "\n".join((*lines, "]", ""))


def main(names: list[str]) -> int:
    """Print what was counted; without names, what can be."""
    unknown = [name for name in names if name not in NETS]
    if unknown or not names:
        print(f"{', '.join(unknown)}\n" if unknown else __doc__, file=sys.stderr)
        print(*NETS, sep="\n")
        return 2
    transformers.logging.set_verbosity_error()
    torch.manual_seed(0)
    for name in names:
        print(toml(name, NETS[name]), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
