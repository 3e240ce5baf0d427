"""Two encoders side by side, one for text and one for images: CLIP and SigLIP, whole and halved.

In: the config of one family. Out: its architecture; a whole model has both stacks, text first.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from deployopt.core.architecture import Architecture, Stack
from deployopt.core.plan import Operation
from deployopt.planning.architectures import patches
from deployopt.planning.architectures.counts import bert_layer, linear, patch_embedding
from deployopt.planning.architectures.heads import head_of, heads_divide
from deployopt.planning.architectures.keys import HEADS, LAYERS, TOKENS, VOCABULARY, Keys, Readers
from deployopt.planning.operations.counting import gemm

LABELS: Final = "zero_shot_labels"
"""No key of transformers': so many labels, their captions fixed, in the text tower's place."""
PAIRED: Final = frozenset({"clip", "siglip"})
"""The families whose whole models say how well a text fits an image."""
_NOTHING: Final[Mapping[str, object]] = {}


class Half(msgspec.Struct, frozen=True, kw_only=True):
    """One encoder, without a projection."""

    stack: Stack
    parameters: int
    operations: tuple[Operation, ...] = ()
    activations: int = 0
    tables: int = 0
    vocabulary: int = 0
    positions: int | None = None
    image: int | None = None

    @property
    def hidden(self) -> int:
        """The width of what comes out."""
        return self.stack.hidden


class Words(msgspec.Struct, frozen=True, kw_only=True):
    """A text encoder's sizes where its config is silent."""

    vocabulary: int
    hidden: int
    heads: int
    ffn: int
    positions: int


_CLIP_WORDS: Final = Words(vocabulary=49408, hidden=512, heads=8, ffn=2048, positions=77)
_SIGLIP_WORDS: Final = Words(vocabulary=32000, hidden=768, heads=12, ffn=3072, positions=64)


def part(keys: Keys, name: str) -> Keys:
    """A nested config without its own `architectures`; an empty one where there is none."""
    found = keys.part(name) or Keys(values=_NOTHING, path=f"{name}.")
    values = {key: value for key, value in found.values.items() if key != "architectures"}
    return msgspec.structs.replace(found, values=values)


def words(keys: Keys, usual: Words) -> Half:
    """A text encoder with learned positions and a final norm."""
    hidden = keys.whole("hidden_size", usual.hidden)
    heads = keys.whole("num_attention_heads", usual.heads, most=HEADS)
    ffn = keys.whole("intermediate_size", usual.ffn)
    vocabulary = keys.whole("vocab_size", usual.vocabulary, most=VOCABULARY)
    positions = keys.whole("max_position_embeddings", usual.positions, most=TOKENS)
    layers = keys.whole("num_hidden_layers", 12, most=LAYERS)
    tables = (vocabulary + positions) * hidden
    return Half(
        stack=Stack(
            name="text",
            layers=layers,
            hidden=hidden,
            heads=heads,
            kv_heads=heads,
            head_dim=heads_divide(keys, hidden, heads),
            ffn=ffn,
        ),
        parameters=tables + layers * bert_layer(hidden, ffn) + 2 * hidden,
        tables=tables,
        vocabulary=vocabulary,
        positions=positions,
    )


def clip_image(keys: Keys) -> Half:
    """CLIP's image encoder: a class token, no bias on the patches, a norm on both ends."""
    tower = patches.sized(keys, patch=32)
    hidden = tower.hidden
    own = tower.stem - hidden + (1 + tower.tokens) * hidden + 4 * hidden
    return seen(tower, own + tower.layers * bert_layer(hidden, tower.ffn))


def siglip_image(keys: Keys) -> Half:
    """SigLIP's image encoder: no class token; a head that attends with one learned query."""
    tower = patches.sized(keys, special=0)
    hidden = tower.hidden
    own = tower.stem + tower.tokens * hidden + 2 * hidden
    if keys.flag("vision_use_head", default=True):
        own += hidden + 4 * linear(hidden, hidden) + 2 * hidden
        own += linear(hidden, tower.ffn) + linear(tower.ffn, hidden)
        found = seen(tower, own + tower.layers * bert_layer(hidden, tower.ffn))
        pooled = found.operations + _attended(tower)
        return msgspec.structs.replace(found, operations=pooled)
    return seen(tower, own + tower.layers * bert_layer(hidden, tower.ffn))


def _attended(tower: patches.Patches) -> tuple[Operation, ...]:
    """One learned query's attention to all patches, and a feed-forward of what it saw."""
    hidden, ffn = tower.hidden, tower.ffn
    read = msgspec.structs.replace(gemm(tower.tokens, hidden, hidden, 2), kind="conv1x1")
    return (read, gemm(1, hidden, hidden, 2), gemm(1, hidden, ffn), gemm(1, ffn, hidden))


def seen(tower: patches.Patches, parameters: int, stack: Stack | None = None) -> Half:
    """An image encoder over patches, its layers as `stack` where they are not ViT's."""
    return Half(
        stack=patches.stack_of(tower) if stack is None else stack,
        parameters=parameters,
        operations=(patch_embedding(tower.grid, tower.patch * tower.channels, tower.hidden),),
        activations=tower.height * tower.width * tower.channels + tower.tokens * tower.hidden,
        image=tower.height,
    )


def alone(
    model_type: str, half: Half, *, extra: int = 0, operations: tuple[Operation, ...] = ()
) -> Architecture:
    """One encoder as a model, with `extra` parameters on top."""
    return Architecture(
        model_type=model_type,
        stacks=(half.stack,),
        operations=half.operations + operations,
        activations=half.activations,
        vocabulary=half.vocabulary,
        positions=half.positions,
        learned_positions=half.positions is not None,
        image_size=half.image,
        parameters=half.parameters + extra,
        embedding_parameters=half.tables,
        basis="",
    )


def _projection(keys: Keys, half: Half) -> tuple[int, tuple[Operation, ...]]:
    """The projection into the common space, where the config names a class that has it."""
    if not any(name.endswith("WithProjection") for name in keys.texts("architectures")):
        return 0, ()
    width = keys.whole("projection_dim", 512)
    return half.hidden * width, (gemm(1, half.hidden, width),)


def clip_text(keys: Keys) -> Architecture:
    """CLIP's text encoder, as diffusion models use it."""
    half = words(keys, _CLIP_WORDS)
    extra, operations = _projection(keys, half)
    return alone("clip_text_model", half, extra=extra, operations=operations)


def clip_vision(keys: Keys) -> Architecture:
    """CLIP's image encoder, as models that describe images use it."""
    half = clip_image(keys)
    extra, operations = _projection(keys, half)
    return alone("clip_vision_model", half, extra=extra, operations=operations)


def siglip_text(keys: Keys) -> Architecture:
    """SigLIP's text encoder, with its dense layer on top."""
    half = words(keys, _SIGLIP_WORDS)
    width = keys.whole("projection_size", half.hidden)
    return alone(
        "siglip_text_model",
        half,
        extra=linear(half.hidden, width),
        operations=(gemm(1, half.hidden, width),),
    )


def siglip_vision(keys: Keys) -> Architecture:
    """SigLIP's image encoder."""
    return alone("siglip_vision_model", siglip_image(keys))


def clip(keys: Keys) -> Architecture:
    """CLIP: both encoders, projected into one space; a scale."""
    image = clip_image(part(keys, "vision_config"))
    if head_of(keys, "base") == "classify":
        return _classifier(keys, "clip", image)
    width = keys.whole("projection_dim", 512)
    labels = keys.whole(LABELS, 0, least=0)
    if labels:
        return _choosing("clip", image, (labels, width), projected=width)
    text = words(part(keys, "text_config"), _CLIP_WORDS)
    operations = (gemm(1, text.hidden, width), gemm(1, image.hidden, width))
    extra = (text.hidden + image.hidden) * width + 1
    return _both("clip", (text, image), extra, operations)


def siglip(keys: Keys) -> Architecture:
    """SigLIP: both encoders; a scale and a bias."""
    image = siglip_image(part(keys, "vision_config"))
    if head_of(keys, "base") == "classify":
        return _classifier(keys, "siglip", image)
    labels = keys.whole(LABELS, 0, least=0)
    if labels:
        return _choosing("siglip", image, (labels, image.hidden))
    described = part(keys, "text_config")
    text = words(described, _SIGLIP_WORDS)
    width = described.whole("projection_size", text.hidden)
    extra = linear(text.hidden, width) + 2
    return _both("siglip", (text, image), extra, (gemm(1, text.hidden, width),))


def _classifier(keys: Keys, model_type: str, image: Half) -> Architecture:
    labels = keys.labels()
    found = alone(
        model_type,
        image,
        extra=linear(image.hidden, labels),
        operations=(gemm(1, image.hidden, labels),),
    )
    return msgspec.structs.replace(found, labels=labels)


def _choosing(
    model_type: str, image: Half, labels_by: tuple[int, int], projected: int = 0
) -> Architecture:
    """An image encoder and a constant matrix of labels by width, behind a projection if any."""
    labels, width = labels_by
    found = alone(
        model_type,
        image,
        extra=image.hidden * projected + labels * width,
        operations=(
            *((gemm(1, image.hidden, projected),) if projected else ()),
            gemm(1, width, labels),
        ),
    )
    return msgspec.structs.replace(found, labels=labels)


def _both(
    model_type: str, halves: tuple[Half, Half], extra: int, operations: tuple[Operation, ...]
) -> Architecture:
    text, image = halves
    return Architecture(
        model_type=model_type,
        stacks=(text.stack, image.stack),
        operations=image.operations + operations,
        activations=image.activations,
        vocabulary=text.vocabulary,
        positions=text.positions,
        learned_positions=True,
        image_size=image.image,
        parameters=text.parameters + image.parameters + extra,
        embedding_parameters=text.tables,
        basis="",
    )


TOWERS: Final[Readers] = {
    "clip": clip,
    "clip_text_model": clip_text,
    "clip_vision_model": clip_vision,
    "siglip": siglip,
    "siglip_text_model": siglip_text,
    "siglip_vision_model": siglip_vision,
}
