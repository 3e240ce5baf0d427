"""Speech encoders over the wave itself: wav2vec 2, HuBERT, WavLM, data2vec, UniSpeech, SEW.

In: the config of one family. Out: its architecture, with the convolutions as operators of ten
seconds of sound.
"""

from typing import Final

import msgspec

from deployopt.core.architecture import Architecture, Stack
from deployopt.core.plan import Operation
from deployopt.planning.architectures.counts import bert_layer, linear
from deployopt.planning.architectures.heads import head_of, heads_divide
from deployopt.planning.architectures.keys import HEADS, LAYERS, VOCABULARY, Keys, Readers
from deployopt.planning.operations.counting import gemm

SAMPLES: Final = 160_000
"""Ten seconds at 16 kHz."""
HEARD: Final = "counted for 10 s of sound"
_DIMS: Final = (512,) * 7
_KERNELS: Final = (10, 3, 3, 3, 3, 2, 2)
_STRIDES: Final = (5, 2, 2, 2, 2, 2, 2)
_SEW: Final = (64, 128, 128, 128, 128, 256, 256, 256, 256, 512, 512, 512, 512)
_SEW_KERNELS: Final = (10, 3, 1, 3, 1, 3, 1, 3, 1, 2, 1, 2, 1)
_SEW_STRIDES: Final = (5, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1)
_GATES: Final = 8
"""WavLM's outputs of a head's gate on its positions."""
_SPEAKERS: Final = (512, 512, 512, 512, 1500)
_SPEAKER_KERNELS: Final = (5, 3, 3, 1, 1)
_MOST: Final = 64


class Front(msgspec.Struct, frozen=True, kw_only=True):
    """The convolutions between the wave and the first layer."""

    parameters: int
    width: int
    frames: int
    operations: tuple[Operation, ...]
    activations: int


def front(keys: Keys, *, normed: bool, usual: tuple[tuple[int, ...], ...]) -> Front:
    """One convolution after another; a norm behind the first or, `normed`, behind each."""
    dims = keys.wholes("conv_dim", usual[0])
    kernels = keys.wholes("conv_kernel", usual[1], most=HEADS)
    strides = keys.wholes("conv_stride", usual[2], most=HEADS)
    if not len(dims) == len(kernels) == len(strides) <= _MOST or not dims:
        raise keys.wrong("conv_dim", "as many entries as conv_kernel and conv_stride")
    bias = keys.flag("conv_bias", default=False)
    before, frames, own, most = 1, SAMPLES, 0, 0
    operations = []
    for layer, (width, kernel, stride) in enumerate(zip(dims, kernels, strides, strict=True)):
        weights, coming = before * width * kernel, before * frames
        own += weights + (width if bias else 0) + (2 * width if normed or layer == 0 else 0)
        frames = max(1, (frames - kernel) // stride + 1)
        made = coming + width * frames
        operations.append(
            Operation(kind="conv", macs=weights * frames, weights=weights, activations=made)
        )
        before, most = width, max(most, made)
    return Front(
        parameters=own, width=before, frames=frames, operations=tuple(operations), activations=most
    )


def wave(keys: Keys) -> Architecture:
    """wav2vec 2 and those after it: convolutions, a convolved position, BERT's layers."""
    model_type = keys.text("model_type", "wav2vec2")
    if keys.flag("add_adapter", default=False):
        raise keys.wrong("add_adapter", "false")
    normed = model_type == "data2vec-audio" or keys.text("feat_extract_norm", "group") == "layer"
    start = front(keys, normed=normed, usual=(_DIMS, _KERNELS, _STRIDES))
    stack = sound_stack(keys, start.frames)
    hidden = stack.hidden
    own = start.parameters + linear(start.width, hidden) + 2 * hidden + masked(keys, hidden)
    own += 2 * start.width if keys.flag("feat_proj_layer_norm", default=True) else 0
    own += _positions(keys, hidden, model_type) + stack.layers * bert_layer(hidden, stack.ffn)
    own += _layer_extras(keys, stack, model_type)
    return _ended(keys, model_type, (start, stack), own)


def sound_stack(
    keys: Keys, frames: int, usual: tuple[int, int, int, int] = (768, 12, 12, 3072)
) -> Stack:
    """The layers under the usual keys."""
    hidden = keys.whole("hidden_size", usual[0])
    heads = keys.whole("num_attention_heads", usual[2], most=HEADS)
    return Stack(
        name="audio",
        layers=keys.whole("num_hidden_layers", usual[1], most=LAYERS),
        hidden=hidden,
        heads=heads,
        kv_heads=heads,
        head_dim=heads_divide(keys, hidden, heads),
        ffn=keys.whole("intermediate_size", usual[3]),
        tokens=frames,
    )


def masked(keys: Keys, hidden: int) -> int:
    """What stands for a frame that training hides."""
    hides = keys.number("mask_time_prob", 0.05, least=0, most=1) > 0
    return hidden if hides or keys.number("mask_feature_prob", 0, least=0, most=1) > 0 else 0


def _positions(keys: Keys, hidden: int, model_type: str) -> int:
    groups = keys.whole("num_conv_pos_embedding_groups", 16)
    if hidden % groups:
        raise keys.wrong("num_conv_pos_embedding_groups", f"a divisor of the {hidden} channels")
    plane = hidden * (hidden // groups)
    if model_type == "data2vec-audio":
        layers = keys.whole("num_conv_pos_embeddings", 5, most=LAYERS)
        return layers * (plane * keys.whole("conv_pos_kernel_size", 19) + hidden)
    kernel = keys.whole("num_conv_pos_embeddings", 128)
    batch = keys.flag("conv_pos_batch_norm", default=False)
    return plane * kernel + hidden + (2 * hidden if batch else kernel)


def _layer_extras(keys: Keys, stack: Stack, model_type: str) -> int:
    """WavLM's gated positions, and the small adapters of models for many languages."""
    if model_type == "wavlm":
        buckets = keys.whole("num_buckets", 320)
        gates = stack.heads + linear(stack.head_dim, _GATES)
        return stack.layers * gates + buckets * stack.heads
    narrow = keys.optional("adapter_attn_dim", None, most=HEADS)
    if narrow is None or not keys.flag("do_stable_layer_norm", default=False):
        return 0
    hidden = stack.hidden
    return stack.layers * (2 * hidden + linear(hidden, narrow) + linear(narrow, hidden))


def sew(keys: Keys) -> Architecture:
    """SEW: fewer frames inside of the layers than before and after them."""
    normed = keys.text("feat_extract_norm", "group") == "layer"
    start = front(keys, normed=normed, usual=(_SEW, _SEW_KERNELS, _SEW_STRIDES))
    factor = keys.whole("squeeze_factor", 2, most=HEADS)
    stack = sound_stack(keys, max(1, start.frames // factor))
    hidden = stack.hidden
    own = start.parameters + 2 * start.width + 2 * hidden + masked(keys, hidden)
    own += linear(start.width, hidden) if start.width != hidden else 0
    own += _positions(keys, hidden, "sew") + linear(hidden, factor * hidden)
    own += stack.layers * bert_layer(hidden, stack.ffn)
    return _ended(keys, "sew", (start, stack), own)


def _ended(keys: Keys, model_type: str, body: tuple[Front, Stack], own: int) -> Architecture:
    start, stack = body
    end = head_of(keys, "base")
    if end == "pretrain" and model_type != "wav2vec2":
        raise keys.wrong("architectures", "a class whose head is known")
    head, labels, operations = sound_head(keys, end, stack, start.width)
    return Architecture(
        model_type=model_type,
        stacks=(stack,),
        operations=start.operations + operations,
        activations=start.activations,
        labels=labels,
        parameters=own + head,
        basis=HEARD,
    )


def sound_head(
    keys: Keys, end: str, stack: Stack, width: int
) -> tuple[int, int, tuple[Operation, ...]]:
    """Parameters, labels and operators: letters a frame, a class, a class a frame, a speaker."""
    hidden, frames = stack.hidden, stack.tokens or 1
    mixed = keys.flag("use_weighted_layer_sum", default=False)
    weighted = stack.layers + 1 if mixed and end in {"classify", "tag", "speaker"} else 0
    if end == "hear":
        letters = keys.whole("vocab_size", 32, most=VOCABULARY)
        return linear(hidden, letters), 0, (gemm(frames, hidden, letters),)
    if end == "classify":
        labels, narrow = keys.labels(), keys.whole("classifier_proj_size", 256)
        own = linear(hidden, narrow) + linear(narrow, labels) + weighted
        return own, labels, (gemm(frames, hidden, narrow), gemm(1, narrow, labels))
    if end == "tag":
        labels = keys.labels()
        return linear(hidden, labels) + weighted, labels, (gemm(frames, hidden, labels),)
    if end == "speaker":
        return _speaker(keys, hidden) + weighted, 0, ()
    return _quantizer(keys, hidden, width) if end == "pretrain" else 0, 0, ()


def _speaker(keys: Keys, hidden: int) -> int:
    dims = keys.wholes("tdnn_dim", _SPEAKERS)
    kernels = keys.wholes("tdnn_kernel", _SPEAKER_KERNELS, most=HEADS)
    if len(dims) != len(kernels) or not dims:
        raise keys.wrong("tdnn_kernel", "as many entries as tdnn_dim")
    out = keys.whole("xvector_output_dim", 512)
    own, before = linear(hidden, dims[0]), dims[0]
    for width, kernel in zip(dims, kernels, strict=True):
        own, before = own + linear(before * kernel, width), width
    return own + linear(2 * before, out) + linear(out, out) + out * keys.labels()


def _quantizer(keys: Keys, hidden: int, width: int) -> int:
    groups = keys.whole("num_codevector_groups", 2, most=HEADS)
    codes = groups * keys.whole("num_codevectors_per_group", 320)
    across = keys.whole("codevector_dim", 256)
    out = keys.whole("proj_codevector_dim", 256)
    own = codes * (across // groups) + linear(width, codes)
    return own + linear(hidden, out) + linear(across, out)


SPEECH: Final[Readers] = {
    "wav2vec2": wave,
    "hubert": wave,
    "wavlm": wave,
    "data2vec-audio": wave,
    "unispeech": wave,
    "unispeech-sat": wave,
    "sew": sew,
}
