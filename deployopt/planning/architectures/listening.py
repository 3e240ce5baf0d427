"""Speech models over features of sound, and those that write: wav2vec2-BERT, Speech2Text,
Moonshine, the Audio Spectrogram Transformer.

In: the config of one family. Out: its architecture, counted for the sound that its basis names.
"""  # noqa: D205 -- a list of names

from typing import Final

import msgspec

from deployopt.core.architecture import Architecture, Stack
from deployopt.core.plan import Operation
from deployopt.planning.architectures.counts import (
    bert_layer,
    decoder_layer,
    linear,
    patch_embedding,
)
from deployopt.planning.architectures.heads import head_of, heads_divide
from deployopt.planning.architectures.keys import HEADS, LAYERS, TOKENS, VOCABULARY, Keys, Readers
from deployopt.planning.architectures.speech import (
    HEARD,
    SAMPLES,
    masked,
    sound_head,
    sound_stack,
)
from deployopt.planning.operations.counting import gemm

_FRAMES: Final = 500
"""Of 20 ms in ten seconds."""
_THIRTY: Final = 3000
"""Frames of 10 ms in thirty seconds."""
_MOONSHINE: Final = ((127, 64), (7, 3), (3, 2))
"""Kernels and strides."""


def conformer(keys: Keys) -> Architecture:
    """wav2vec2-BERT 2: two half feed-forwards, attention and a convolution in each layer."""
    if keys.flag("add_adapter", default=False):
        raise keys.wrong("add_adapter", "false")
    stack = sound_stack(keys, _FRAMES, (1024, 24, 16, 4096))
    hidden, ffn = stack.hidden, stack.ffn
    width = keys.whole("feature_projection_input_dim", 160)
    kernel = keys.whole("conv_depthwise_kernel_size", 31, most=HEADS)
    layer = bert_layer(hidden, ffn) + linear(hidden, ffn) + linear(ffn, hidden) + 4 * hidden
    layer += 3 * hidden * hidden + hidden * kernel + 4 * hidden + _distances(keys, stack)
    own = 2 * width + linear(width, hidden) + masked(keys, hidden) + stack.layers * layer
    named = keys if keys.has("classifier_proj_size") else _with(keys, "classifier_proj_size", 768)
    head, labels, operations = sound_head(named, head_of(keys, "base"), stack, width)
    between = stack.tokens or 1
    convolutions = (
        gemm(between, hidden, 3 * hidden, stack.layers),
        gemm(between, width, hidden),
        Operation(
            kind="depthwise",
            macs=between * hidden * kernel,
            weights=hidden * kernel,
            activations=2 * between * hidden,
            count=stack.layers,
        ),
    )
    return Architecture(
        model_type="wav2vec2-bert",
        stacks=(msgspec.structs.replace(stack, feed_forwards=2),),
        operations=convolutions + operations,
        activations=between * (width + 3 * hidden),
        labels=labels,
        parameters=own + head,
        basis=HEARD,
    )


def _with(keys: Keys, name: str, value: int) -> Keys:
    return msgspec.structs.replace(keys, values={**keys.values, name: value})


def _distances(keys: Keys, stack: Stack) -> int:
    """Parameters of relative positions in one layer."""
    kind = keys.text("position_embeddings_type", "relative_key")
    if kind == "relative_key":
        left = keys.whole("left_max_position_embeddings", 64, least=0, most=TOKENS)
        right = keys.whole("right_max_position_embeddings", 8, least=0, most=TOKENS)
        return (left + right + 1) * stack.head_dim
    if kind == "relative":
        return stack.hidden * stack.hidden + 2 * stack.hidden
    return 0


def speech_to_text(keys: Keys) -> Architecture:
    """Speech2Text: convolutions with gates, then BART without tables of positions."""
    hidden = keys.whole("d_model", 256)
    kernels = keys.wholes("conv_kernel_sizes", (5, 5), most=HEADS)
    middle = keys.whole("conv_channels", 1024)
    mels = keys.whole("input_feat_per_channel", 80) * keys.whole("input_channels", 1)
    own, before, frames = 0, mels, _THIRTY
    operations = []
    for place, kernel in enumerate(kernels):
        outer = 2 * hidden if place == len(kernels) - 1 else middle
        own += linear(before * kernel, outer)
        frames = max(1, -(-frames // 2))
        operations.append(_convolution(frames, before * kernel, outer))
        before = max(1, outer // 2)
    encoder = _translator_half(keys, "encoder", hidden, 12, frames)
    decoder = msgspec.structs.replace(
        _translator_half(keys, "decoder", hidden, 6, None), causal=True, cross=True
    )
    vocabulary = keys.whole("vocab_size", 10000, most=VOCABULARY)
    own += encoder.layers * bert_layer(hidden, encoder.ffn)
    own += decoder.layers * decoder_layer(hidden, decoder.ffn) + 4 * hidden
    found = _writing(keys, "speech_to_text", (encoder, decoder), own, vocabulary)
    return msgspec.structs.replace(
        found,
        operations=tuple(operations),
        positions=keys.whole("max_target_positions", 1024, most=TOKENS),
        basis="counted for 30 s of sound",
    )


def _convolution(frames: int, inner: int, outer: int) -> Operation:
    operation = gemm(frames, inner, outer)
    return msgspec.structs.replace(operation, kind="conv")


def _translator_half(keys: Keys, name: str, hidden: int, layers: int, tokens: int | None) -> Stack:
    heads = keys.whole(f"{name}_attention_heads", 4, most=HEADS)
    return Stack(
        name="audio" if name == "encoder" else "decoder",
        layers=keys.whole(f"{name}_layers", layers, most=LAYERS),
        hidden=hidden,
        heads=heads,
        kv_heads=heads,
        head_dim=heads_divide(keys, hidden, heads),
        ffn=keys.whole(f"{name}_ffn_dim", 2048),
        tokens=tokens,
    )


def _writing(
    keys: Keys, model_type: str, stacks: tuple[Stack, Stack], own: int, vocabulary: int
) -> Architecture:
    """With a lookup table in the decoder, and a head over it."""
    table = vocabulary * stacks[1].hidden
    writes = head_of(keys, "generate") == "generate"
    tied = keys.flag("tie_word_embeddings", default=True)
    head = table if writes and not tied else 0
    return Architecture(
        model_type=model_type,
        stacks=stacks,
        vocabulary=vocabulary,
        tied=tied and writes,
        parameters=own + table + head,
        embedding_parameters=table,
        head_parameters=head,
        basis="",
    )


def moonshine(keys: Keys) -> Architecture:
    """Moonshine: three convolutions over the wave, rotary positions, a gated decoder."""
    hidden = keys.whole("hidden_size", 288)
    ffn = keys.whole("intermediate_size", 1152)
    operations, frames = _moonshine_front(hidden)
    bias = keys.flag("attention_bias", default=False)
    encoder = _moonshine_half(keys, "encoder", (hidden, ffn), frames)
    decoder = msgspec.structs.replace(
        _moonshine_half(keys, "decoder", (hidden, ffn), None), causal=True, cross=True, gated=True
    )
    if decoder.heads % encoder.kv_heads:
        raise keys.wrong("encoder_num_key_value_heads", f"a divisor of {decoder.heads} heads")
    # The class takes the encoder's count for both halves.
    decoder = msgspec.structs.replace(decoder, kv_heads=encoder.kv_heads)
    (kernel, _), (second, _), (third, _) = _MOONSHINE
    own = kernel * hidden + linear(second * hidden, 2 * hidden) + linear(third * 2 * hidden, hidden)
    own += 2 * hidden + 2 * hidden
    heard, written = (_moonshine_attention(each, bias=bias) for each in (encoder, decoder))
    own += encoder.layers * (heard + linear(hidden, ffn) + linear(ffn, hidden) + 2 * hidden)
    own += decoder.layers * (
        2 * written + linear(hidden, 2 * ffn) + linear(ffn, hidden) + 3 * hidden
    )
    vocabulary = keys.whole("vocab_size", 32768, most=VOCABULARY)
    found = _writing(keys, "moonshine", (encoder, decoder), own, vocabulary)
    return msgspec.structs.replace(
        found,
        operations=operations,
        positions=keys.whole("max_position_embeddings", 512, most=TOKENS),
        basis=HEARD,
    )


def _moonshine_front(hidden: int) -> tuple[tuple[Operation, ...], int]:
    frames, before, operations = SAMPLES, 1, []
    for (kernel, stride), outer in zip(_MOONSHINE, (hidden, 2 * hidden, hidden), strict=True):
        frames = (frames - kernel) // stride + 1
        operations.append(_convolution(frames, before * kernel, outer))
        before = outer
    return tuple(operations), frames


def _moonshine_half(keys: Keys, name: str, widths: tuple[int, int], tokens: int | None) -> Stack:
    hidden, ffn = widths
    heads = keys.whole(f"{name}_num_attention_heads", 8, most=HEADS)
    kept = keys.whole(f"{name}_num_key_value_heads", heads, most=HEADS)
    if heads % kept:
        raise keys.wrong(f"{name}_num_key_value_heads", f"a divisor of the {heads} heads")
    return Stack(
        name="audio" if name == "encoder" else "decoder",
        layers=keys.whole(f"{name}_num_hidden_layers", 6, most=LAYERS),
        hidden=hidden,
        heads=heads,
        kv_heads=kept,
        head_dim=heads_divide(keys, hidden, heads),
        ffn=ffn,
        tokens=tokens,
    )


def _moonshine_attention(stack: Stack, *, bias: bool) -> int:
    wide = stack.heads + 2 * stack.kv_heads
    own = linear(stack.hidden, wide * stack.head_dim, bias=bias)
    return own + stack.heads * stack.head_dim * stack.hidden


def spectrogram(keys: Keys) -> Architecture:
    """The Audio Spectrogram Transformer: a ViT over overlapping patches of a spectrogram."""
    patch = keys.whole("patch_size", 16, most=HEADS)
    bands = keys.whole("num_mel_bins", 128, least=patch)
    length = keys.whole("max_length", 1024, least=patch)
    rows = (bands - patch) // keys.whole("frequency_stride", 10) + 1
    patches = rows * ((length - patch) // keys.whole("time_stride", 10) + 1)
    stack = sound_stack(keys, patches + 2)
    hidden = stack.hidden
    bias = keys.flag("qkv_bias", default=True)
    attention = linear(hidden, 3 * hidden, bias=bias) + linear(hidden, hidden)
    own = linear(patch * patch, hidden) + (patches + 4) * hidden + 2 * hidden
    own += stack.layers * bert_layer(hidden, stack.ffn, attention=attention)
    classes = head_of(keys, "base") == "classify"
    labels = keys.labels() if classes else 0
    return Architecture(
        model_type="audio-spectrogram-transformer",
        stacks=(stack,),
        operations=(
            patch_embedding(patches, patch * patch, hidden),
            *((gemm(1, hidden, labels),) if labels else ()),
        ),
        activations=bands * length + patches * hidden,
        labels=labels,
        parameters=own + (2 * hidden + linear(hidden, labels) if classes else 0),
        basis=f"counted for {length} frames of sound",
    )


LISTENING: Final[Readers] = {
    "wav2vec2-bert": conformer,
    "speech_to_text": speech_to_text,
    "moonshine": moonshine,
    "audio-spectrogram-transformer": spectrogram,
}
