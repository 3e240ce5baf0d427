"""Decoders whose layers carry a state: Mamba 1 and 2, Falcon Mamba, and hybrids with attention.

In: the config of one family. Out: its architecture. Layers that attend keep keys and values of
every token; the others keep a state whose size does not depend on the text.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from deployopt.core.architecture import Architecture
from deployopt.planning.architectures.counts import linear
from deployopt.planning.architectures.decoder import Decoder, assemble
from deployopt.planning.architectures.experts import routed
from deployopt.planning.architectures.keys import HEADS, LAYERS, VOCABULARY, Keys, Readers
from deployopt.planning.architectures.llamas import Defaults, sized, with_biases

_ATTENDING: Final = frozenset({"attention", "full_attention", "hybrid"})
_RATIO: Final = 16
"""Mamba's rank of time steps is the hidden width over this."""


class Mixer(msgspec.Struct, frozen=True, kw_only=True):
    """What one recurrent layer has and keeps."""

    parameters: int
    elements: int


def first_mixer(keys: Keys, hidden: int, inner: int, *, normed: bool) -> Mixer:
    """Mamba 1; `normed` is Jamba's, with norms of the time step and of both projections."""
    state = keys.whole("state_size", 16, most=HEADS)
    kernel = keys.whole("conv_kernel", 4, most=HEADS)
    bias = keys.flag("use_bias", default=False)
    rank = _rank(keys, hidden)
    own = inner * (state + 1 + kernel) + linear(hidden, 2 * inner, bias=bias)
    own += inner if keys.flag("use_conv_bias", default=True) else 0
    own += linear(inner, rank + 2 * state, bias=False) + linear(rank, inner)
    own += linear(inner, hidden, bias=bias) + (rank + 2 * state if normed else 0)
    return Mixer(parameters=own, elements=inner * (state + kernel))


def _rank(keys: Keys, hidden: int) -> int:
    key = keys.also.get("time_step_rank", "time_step_rank")
    usual = -(-hidden // _RATIO)
    return usual if keys.values.get(key) == "auto" else keys.whole("time_step_rank", usual)


class Second(msgspec.Struct, frozen=True, kw_only=True):
    """Mamba 2's sizes."""

    inner: int
    heads: int
    groups: int
    state: int
    kernel: int
    bias: bool
    convolution_bias: bool
    norm: bool = True


def second_mixer(hidden: int, sizes: Second) -> Mixer:
    """Mamba 2: one number of decay a head, one convolution over all that enters the state."""
    across = sizes.inner + 2 * sizes.groups * sizes.state
    own = 3 * sizes.heads + across * sizes.kernel + (across if sizes.convolution_bias else 0)
    own += linear(hidden, sizes.inner + across + sizes.heads, bias=sizes.bias)
    own += linear(sizes.inner, hidden, bias=sizes.bias) + (sizes.inner if sizes.norm else 0)
    return Mixer(parameters=own, elements=sizes.inner * sizes.state + across * sizes.kernel)


def second_sizes(keys: Keys, hidden: int) -> Second:
    """Under the hybrids' keys."""
    return Second(
        inner=_widened(keys, "mamba_expand", hidden),
        heads=keys.whole("mamba_n_heads", 128, most=HEADS),
        groups=keys.whole("mamba_n_groups", 1, most=HEADS),
        state=keys.whole("mamba_d_state", 256, most=HEADS),
        kernel=keys.whole("mamba_d_conv", 4, most=HEADS),
        bias=keys.flag("mamba_proj_bias", default=False),
        convolution_bias=keys.flag("mamba_conv_bias", default=True),
    )


def _widened(keys: Keys, name: str, hidden: int) -> int:
    return max(1, int(keys.number(name, 2, least=0.01, most=64) * hidden))


def mixed(decoder: Decoder, mixer: Mixer, *, attending: int) -> Decoder:
    """With this mixer in all layers but those that attend."""
    return msgspec.structs.replace(
        decoder,
        attention_layers=attending,
        window_layers=min(decoder.window_layers, attending),
        state_layers=decoder.layers - attending,
        state_elements=mixer.elements,
        state_parameters=mixer.parameters,
    )


def listed(keys: Keys, name: str, layers: int) -> int | None:
    """How many layers a list of kinds says to attend; None where it is not given."""
    kinds = keys.texts(name)
    if not kinds:
        return None
    if len(kinds) != layers:
        raise keys.wrong(name, f"a list of {layers} entries, one a layer,")
    return sum(kind in _ATTENDING for kind in kinds)


def _alone(keys: Keys, mixer: Callable[[Keys, int], tuple[Mixer, int]], usual: Defaults) -> Decoder:
    """Nothing but recurrent layers, one norm each; heads stand for the state's width."""
    hidden = keys.whole("hidden_size", usual.hidden)
    named = keys.named(num_hidden_layers=("num_hidden_layers", "n_layer"))
    layers = named.whole("num_hidden_layers", usual.layers, most=LAYERS)
    own, inner = mixer(keys, hidden)
    decoder = Decoder(
        model_type=keys.text("model_type"),
        vocabulary=keys.whole("vocab_size", usual.vocabulary, most=VOCABULARY),
        hidden=hidden,
        layers=layers,
        heads=1,
        kv_heads=1,
        head_dim=inner,
        ffn=0,
        positions=None,
        norms=1,
        tied=keys.flag("tie_word_embeddings", default=usual.tied),
    )
    return mixed(decoder, own, attending=0)


def mamba(keys: Keys) -> Architecture:
    """Mamba 1 and Falcon Mamba."""

    def mixer(keys: Keys, hidden: int) -> tuple[Mixer, int]:
        inner = keys.whole("intermediate_size", _widened(keys, "expand", hidden))
        return first_mixer(keys, hidden, inner, normed=False), inner

    usual = Defaults(vocabulary=50280, hidden=768, layers=32, tied=True)
    return assemble(keys, _alone(keys, mixer, usual))


def mamba2(keys: Keys) -> Architecture:
    """Mamba 2 and Codestral Mamba."""

    def mixer(keys: Keys, hidden: int) -> tuple[Mixer, int]:
        sizes = Second(
            inner=_widened(keys, "expand", hidden),
            heads=keys.whole("num_heads", 128, most=HEADS),
            groups=keys.whole("n_groups", 8, most=HEADS),
            state=keys.whole("state_size", 128, most=HEADS),
            kernel=keys.whole("conv_kernel", 4, most=HEADS),
            bias=keys.flag("use_bias", default=False),
            convolution_bias=keys.flag("use_conv_bias", default=True),
        )
        return second_mixer(hidden, sizes), sizes.inner

    usual = Defaults(vocabulary=32768, hidden=4096, layers=64)
    return assemble(keys, _alone(keys, mixer, usual))


def jamba(keys: Keys) -> Architecture:
    """Jamba: one layer in eight attends, every second has experts."""
    usual = Defaults(vocabulary=65536, kv_heads=8, ffn=14336, positions=262144)
    decoder = sized(keys, usual, "jamba")
    named = keys.named(
        state_size="mamba_d_state",
        conv_kernel="mamba_d_conv",
        use_bias="mamba_proj_bias",
        use_conv_bias="mamba_conv_bias",
        time_step_rank="mamba_dt_rank",
    )
    inner = _widened(keys, "mamba_expand", decoder.hidden)
    mixer = first_mixer(named, decoder.hidden, inner, normed=True)
    attending = _every(keys, "attn_layer", decoder.layers, (8, 4))
    decoder = mixed(decoder, mixer, attending=attending)
    if keys.whole("num_experts", 16, most=HEADS) > 1:
        sparse = _every(keys, "expert_layer", decoder.layers, (2, 1))
        decoder = routed(keys, decoder, experts=16, used=2, width=decoder.ffn)
        decoder = msgspec.structs.replace(decoder, dense_layers=decoder.layers - sparse)
    return assemble(keys, decoder)


def _every(keys: Keys, name: str, layers: int, usual: tuple[int, int]) -> int:
    """How many layers are of a kind that comes once a period."""
    period = keys.whole(f"{name}_period", usual[0], most=LAYERS)
    offset = keys.whole(f"{name}_offset", usual[1], least=0, most=LAYERS)
    return sum(layer % period == offset for layer in range(layers))


def bamba(keys: Keys) -> Architecture:
    """Bamba: Mamba 2 with attention in the layers that the config lists."""
    usual = Defaults(vocabulary=128000, kv_heads=8, ffn=14336, positions=262144)
    decoder = with_biases(keys, sized(keys, usual, "bamba"))
    chosen = set(keys.wholes("attn_layer_indices", least=0, most=LAYERS))
    attending = sum(layer in chosen for layer in range(decoder.layers))
    mixer = second_mixer(decoder.hidden, second_sizes(keys, decoder.hidden))
    return assemble(keys, mixed(decoder, mixer, attending=attending))


def granite_hybrid(keys: Keys) -> Architecture:
    """Granite 4: Mamba 2, few layers that attend, experts and a shared feed-forward."""
    decoder = with_biases(keys, sized(keys, Defaults(), "granitemoehybrid"))
    hidden = decoder.hidden
    name = "layer_types" if keys.has("layer_types") else "layers_block_type"
    attending = listed(keys, name, decoder.layers) or 0
    mixer = second_mixer(hidden, second_sizes(keys, hidden))
    decoder = mixed(decoder, mixer, attending=attending)
    shared = keys.whole("shared_intermediate_size", 1024, least=0)
    if keys.whole("num_local_experts", 8, least=0, most=HEADS):
        decoder = routed(keys, decoder, experts=8, used=2, width=decoder.ffn)
        return assemble(keys, msgspec.structs.replace(decoder, shared_ffn=shared))
    return assemble(keys, msgspec.structs.replace(decoder, ffn=shared, ffn_bias=False))


def falcon_h1(keys: Keys) -> Architecture:
    """Falcon H1: attention and Mamba 2 side by side in every layer."""
    usual = Defaults(vocabulary=128000, kv_heads=8, ffn=14336, positions=8192)
    decoder = with_biases(keys, sized(keys, usual, "falcon_h1"))
    decoder = msgspec.structs.replace(decoder, out_bias=keys.flag("attention_bias", default=False))
    sizes = msgspec.structs.replace(
        second_sizes(keys, decoder.hidden), norm=keys.flag("mamba_rms_norm", default=False)
    )
    inner = keys.whole("mamba_d_ssm", 1024 if "mamba_d_ssm" not in keys.values else sizes.inner)
    mixer = second_mixer(decoder.hidden, msgspec.structs.replace(sizes, inner=inner))
    decoder = mixed(decoder, mixer, attending=0)
    return assemble(keys, msgspec.structs.replace(decoder, attention_layers=decoder.layers))


RECURRENT: Final[Readers] = {
    "mamba": mamba,
    "falcon_mamba": mamba,
    "mamba2": mamba2,
    "jamba": jamba,
    "bamba": bamba,
    "granitemoehybrid": granite_hybrid,
    "falcon_h1": falcon_h1,
}
