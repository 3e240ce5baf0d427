"""Vision transformers that see an image as one row of equal patches: ViT, DeiT, BEiT, DINOv2.

In: the config of one family. Out: its architecture with the patch embedding and the head as
operators of one image.
"""

from typing import Final

import msgspec

from deployopt.core.architecture import Architecture, Stack
from deployopt.planning.architectures.counts import bert_layer, linear, patch_embedding
from deployopt.planning.architectures.heads import head_of, head_width
from deployopt.planning.architectures.keys import HEADS, LAYERS, Keys, Readers
from deployopt.planning.operations.counting import gemm

IMAGE: Final = 1 << 16
_BEIT_EXTRA: Final = 3
"""Distances to, from and of the class token."""
_EIGHT: Final = 8


class Patches(msgspec.Struct, frozen=True, kw_only=True):
    """A tower over patches; `special` tokens stand beside them (class, distillation)."""

    hidden: int
    layers: int
    heads: int
    head_dim: int
    ffn: int
    height: int
    width: int
    patch: int
    """Pixels of one patch."""
    rows: int
    columns: int
    channels: int
    special: int = 1
    gated: bool = False

    @property
    def grid(self) -> int:
        """Patches of one image."""
        return self.rows * self.columns

    @property
    def tokens(self) -> int:
        """Positions that the layers see."""
        return self.grid + self.special

    @property
    def stem(self) -> int:
        """Parameters of the patch embedding."""
        return linear(self.patch * self.channels, self.hidden)


def sides(keys: Keys, name: str, default: int, *, most: int = IMAGE) -> tuple[int, int]:
    """Height and width, from one number or two."""
    value = keys.values.get(name)
    if not isinstance(value, list | tuple):
        side = keys.whole(name, default, most=most)
        return side, side
    found = keys.wholes(name, most=most)
    if len(found) != 2:  # noqa: PLR2004 -- height and width
        raise keys.wrong(name, "one number or two")
    return found[0], found[1]


def sized(keys: Keys, *, patch: int = 16, image: int = 224, special: int = 1) -> Patches:
    """ViT's keys, with its defaults."""
    height, width = sides(keys, "image_size", image)
    tall, wide = sides(keys, "patch_size", patch)
    if tall > height or wide > width:
        raise keys.wrong("patch_size", f"at most the image's {height} x {width} pixels")
    hidden = keys.whole("hidden_size", 768)
    heads = keys.whole("num_attention_heads", 12, most=HEADS)
    return Patches(
        hidden=hidden,
        layers=keys.whole("num_hidden_layers", 12, most=LAYERS),
        heads=heads,
        head_dim=head_width(keys, hidden, heads),
        ffn=keys.whole("intermediate_size", 3072),
        height=height,
        width=width,
        patch=tall * wide,
        rows=height // tall,
        columns=width // wide,
        channels=keys.whole("num_channels", 3),
        special=special,
    )


def stack_of(tower: Patches) -> Stack:
    """The layers, as memory and operations see them."""
    return Stack(
        name="vision",
        layers=tower.layers,
        hidden=tower.hidden,
        heads=tower.heads,
        kv_heads=tower.heads,
        head_dim=tower.head_dim,
        ffn=tower.ffn,
        gated=tower.gated,
        tokens=tower.tokens,
    )


def assemble(
    keys: Keys, model_type: str, tower: Patches, *, body: int, pooler: bool, head_width: int
) -> Architecture:
    """With a classifier over `head_width` where the config names one; a pooler on a bare model."""
    end = head_of(keys, "base")
    classes = end == "classify"
    labels = keys.labels() if classes else 0
    heads = 2 if any(name.endswith("WithTeacher") for name in keys.texts("architectures")) else 1
    pooled = pooler and not classes
    hidden = tower.hidden
    operations = [patch_embedding(tower.grid, tower.patch * tower.channels, hidden)]
    if pooled:
        operations.append(gemm(1, hidden, hidden))
    if labels:
        operations.append(gemm(1, head_width, labels, heads))
    return Architecture(
        model_type=model_type,
        stacks=(stack_of(tower),),
        operations=tuple(operations),
        activations=tower.height * tower.width * tower.channels + tower.tokens * hidden,
        labels=labels,
        image_size=tower.height,
        parameters=body
        + (linear(hidden, hidden) if pooled else 0)
        + (heads * linear(head_width, labels) if labels else 0),
        basis="",
    )


def vit(keys: Keys) -> Architecture:
    """ViT: a class token, learned positions, a final norm."""
    return _vit(keys, "vit", special=1)


def deit(keys: Keys) -> Architecture:
    """DeiT: ViT with a distillation token."""
    return _vit(keys, "deit", special=2)


def _vit(keys: Keys, model_type: str, special: int) -> Architecture:
    tower = sized(keys, special=special)
    hidden = tower.hidden
    bias = keys.flag("qkv_bias", default=True)
    inner = tower.heads * tower.head_dim
    attention = linear(hidden, 3 * inner, bias=bias) + linear(inner, hidden)
    body = tower.stem + (special + tower.tokens) * hidden + 2 * hidden
    body += tower.layers * bert_layer(hidden, tower.ffn, attention=attention)
    return assemble(keys, model_type, tower, body=body, pooler=True, head_width=hidden)


def beit(keys: Keys) -> Architecture:
    """BEiT: relative positions for each layer or for all, scaled halves, no bias on the keys."""
    tower = sized(keys)
    hidden = tower.hidden
    distances = (2 * tower.rows - 1) * (2 * tower.columns - 1) + _BEIT_EXTRA
    table = distances * tower.heads
    scaled = keys.number("layer_scale_init_value", 0.1, least=0, most=1e6) > 0
    layer = bert_layer(hidden, tower.ffn) - hidden + (2 * hidden if scaled else 0)
    layer += table if keys.flag("use_relative_position_bias", default=False) else 0
    body = tower.stem + hidden + tower.layers * layer
    body += hidden if keys.flag("use_mask_token", default=False) else 0
    absolute = keys.flag("use_absolute_position_embeddings", default=False)
    body += tower.tokens * hidden if absolute else 0
    body += table if keys.flag("use_shared_relative_position_bias", default=False) else 0
    return assemble(keys, "beit", tower, body=body + 2 * hidden, pooler=False, head_width=hidden)


def dinov2(keys: Keys) -> Architecture:
    """DINOv2: scaled halves; the classifier sees the class token and the patches' mean.

    With registers, tokens stand beside the patches that have no place.
    """
    model_type = keys.text("model_type", "dinov2")
    registered = model_type == "dinov2_with_registers"
    registers = keys.whole("num_register_tokens", 4, least=0, most=HEADS) if registered else 0
    hidden = keys.whole("hidden_size", 768)
    ratio = keys.number("mlp_ratio", 4, least=0.01, most=100)
    wide = max(1, int(hidden * ratio))
    gated = keys.flag("use_swiglu_ffn", default=False)
    ffn = -(-int(wide * 2 / 3) // _EIGHT) * _EIGHT if gated else wide
    tower = sized(keys, patch=16 if registered else 14, special=1 + registers)
    tower = msgspec.structs.replace(tower, ffn=ffn, gated=gated)
    bias = keys.flag("qkv_bias", default=True)
    layer = linear(hidden, 3 * hidden, bias=bias) + linear(hidden, hidden) + 6 * hidden
    layer += linear(hidden, (2 if gated else 1) * ffn) + linear(ffn, hidden)
    body = tower.stem + (1 + tower.tokens) * hidden + 2 * hidden + tower.layers * layer
    body += hidden if keys.flag("use_mask_token", default=True) else 0
    return assemble(keys, model_type, tower, body=body, pooler=False, head_width=2 * hidden)


def dinov3(keys: Keys) -> Architecture:
    """DINOv3: rotary places, registers, no bias on the keys."""
    usual = {"hidden_size": 384, "intermediate_size": 1536, "num_attention_heads": 6}
    registers = keys.whole("num_register_tokens", 0, least=0, most=HEADS)
    described = msgspec.structs.replace(keys, values={**usual, **keys.values})
    gated = keys.flag("use_gated_mlp", default=False)
    tower = msgspec.structs.replace(sized(described, special=1 + registers), gated=gated)
    hidden, deep = tower.hidden, keys.flag("mlp_bias", default=True)
    layer = 6 * hidden + linear(tower.ffn, hidden, bias=deep)
    layer += (2 if gated else 1) * linear(hidden, tower.ffn, bias=deep)
    for name, usual_bias in (("query", True), ("key", False), ("value", True), ("proj", True)):
        layer += linear(hidden, hidden, bias=keys.flag(f"{name}_bias", default=usual_bias))
    body = tower.stem + (2 + registers) * hidden + 2 * hidden + tower.layers * layer
    return assemble(keys, "dinov3_vit", tower, body=body, pooler=False, head_width=hidden)


PATCHES: Final[Readers] = {
    "vit": vit,
    "deit": deit,
    "beit": beit,
    "dinov2": dinov2,
    "dinov2_with_registers": dinov2,
    "dinov3_vit": dinov3,
}
