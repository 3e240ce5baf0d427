"""Detectors with transformers: YOLOS (a ViT with detection tokens) and DETR (behind a ResNet).

In: the config of one family. Out: its architecture, counted at the image size that the config or
the family's publication names.
"""

from typing import Final

import msgspec

from deployopt.core.architecture import Architecture, Stack
from deployopt.core.plan import Operation
from deployopt.planning.architectures.counts import (
    bert_layer,
    box_head,
    decoder_layer,
    linear,
    patch_embedding,
)
from deployopt.planning.architectures.heads import head_of, heads_divide
from deployopt.planning.architectures.keys import HEADS, LAYERS, Keys, Readers
from deployopt.planning.architectures.net import Convolution, Net, convolved
from deployopt.planning.architectures.patches import sides, sized, stack_of
from deployopt.planning.architectures.residual import resnet_body
from deployopt.planning.operations.counting import gemm, merged

BOX: Final = 4
"""Numbers of a box."""
IMAGE: Final = (800, 1066)
_DEPTHS: Final = {
    "resnet18": (2, 2, 2, 2),
    "resnet34": (3, 4, 6, 3),
    "resnet50": (3, 4, 6, 3),
    "resnet101": (3, 4, 23, 3),
    "resnet152": (3, 8, 36, 3),
}


def box_operations(labels: int, hidden: int, queries: int) -> tuple[Operation, ...]:
    """Classes and boxes of every query."""
    return (gemm(queries, hidden, hidden, 2), gemm(queries, hidden, BOX)) + (
        (gemm(queries, hidden, labels + 1),) if labels else ()
    )


def yolos(keys: Keys) -> Architecture:
    """YOLOS: a ViT whose detection tokens become boxes."""
    queries = keys.whole("num_detection_tokens", 100, most=1 << 16)
    wide = (
        keys if keys.has("image_size") else Keys(values={**keys.values, "image_size": (512, 864)})
    )
    tower = sized(wide, special=queries + 1)
    hidden = tower.hidden
    bias = keys.flag("qkv_bias", default=True)
    attention = linear(hidden, 3 * hidden, bias=bias) + linear(hidden, hidden)
    body = tower.stem + (1 + queries + tower.tokens) * hidden + 2 * hidden
    body += tower.layers * bert_layer(hidden, tower.ffn, attention=attention)
    if keys.flag("use_mid_position_embeddings", default=True):
        body += (tower.layers - 1) * tower.tokens * hidden
    detects = head_of(keys, "base") == "detect"
    labels = keys.labels() if detects else 0
    head = box_head(hidden, labels + 1) + box_head(hidden, BOX)
    stem = patch_embedding(tower.grid, tower.patch * tower.channels, hidden)
    classes = (gemm(queries, hidden, hidden, 2),) if detects else ()
    return Architecture(
        model_type="yolos",
        stacks=(stack_of(tower),),
        operations=(stem, *classes, *(box_operations(labels, hidden, queries) if detects else ())),
        activations=tower.height * tower.width * tower.channels + tower.tokens * hidden,
        labels=labels,
        image_size=tower.height,
        parameters=body + (head if detects else linear(hidden, hidden)),
        basis="",
    )


def detr(keys: Keys) -> Architecture:
    """DETR and Table Transformer: a ResNet with frozen norms, an encoder, a query for each box."""
    hidden = keys.whole("d_model", 256)
    queries = keys.whole("num_queries", 100, most=1 << 16)
    height, width = sides(keys, "image_size", 0) if keys.has("image_size") else IMAGE
    net = Net(channels=keys.whole("num_channels", 3), height=height, width=width, frozen=True)
    net = resnet_body(backbone(keys), net)
    net = convolved(net, Convolution(channels=hidden, bias=True, normed=False))
    encoder = half(keys, "encoder", hidden, net.height * net.width)
    decoder = msgspec.structs.replace(half(keys, "decoder", hidden, queries), cross=True)
    detects = head_of(keys, "base") == "detect"
    labels = keys.labels() if detects else 0
    model_type = keys.text("model_type", "detr")
    parameters = net.parameters + queries * hidden + 2 * hidden
    parameters += 2 * hidden if model_type == "table-transformer" else 0
    parameters += encoder.layers * bert_layer(hidden, encoder.ffn)
    parameters += decoder.layers * decoder_layer(hidden, decoder.ffn)
    if detects:
        parameters += linear(hidden, labels + 1) + box_head(hidden, BOX)
    return Architecture(
        model_type=model_type,
        stacks=(encoder, decoder),
        operations=(
            *merged(net.operations),
            *(box_operations(labels, hidden, queries) if detects else ()),
        ),
        activations=net.peak,
        labels=labels,
        image_size=height,
        parameters=parameters,
        basis=f"counted for an image of {height} x {width}",
    )


def half(keys: Keys, name: str, hidden: int, tokens: int) -> Stack:
    """The encoder or the decoder."""
    heads = keys.whole(f"{name}_attention_heads", 8, most=HEADS)
    return Stack(
        name="vision" if name == "encoder" else "decoder",
        layers=keys.whole(f"{name}_layers", 6, most=LAYERS),
        hidden=hidden,
        heads=heads,
        kv_heads=heads,
        head_dim=heads_divide(keys, hidden, heads),
        ffn=keys.whole(f"{name}_ffn_dim", 2048),
        tokens=tokens,
    )


def backbone(keys: Keys) -> Keys:
    """The ResNet's own config, or one made from its name."""
    part = keys.part("backbone_config")
    if part is not None and part.text("model_type", "resnet") == "resnet":
        return part
    named = keys if part is None else part
    name = named.text("backbone", "resnet50")
    if name.split(".")[0] not in _DEPTHS:
        raise named.wrong("backbone", f"one of {', '.join(_DEPTHS)}")
    name = name.split(".")[0]
    small = name in {"resnet18", "resnet34"}
    values: dict[str, object] = {"depths": _DEPTHS[name]}
    if small:
        values |= {"layer_type": "basic", "hidden_sizes": (64, 128, 256, 512)}
    return Keys(values=values)


DETECTORS: Final[Readers] = {"yolos": yolos, "detr": detr, "table-transformer": detr}
