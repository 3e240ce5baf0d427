"""Shapes of models with transformer layers, small enough to compute by hand or as published."""

import msgspec

from deployopt.core.architecture import Architecture, Stack


def decoder(**changes: object) -> Architecture:
    """Two gated layers: 100 tokens of vocabulary, hidden 8, feed-forward 16, 2 heads of 4."""
    stack = Stack(
        name="decoder",
        layers=2,
        hidden=8,
        heads=2,
        kv_heads=1,
        head_dim=4,
        ffn=16,
        gated=True,
        causal=True,
        rms=True,
    )
    # A layer: 2 x 8 x 8 + 2 x 8 x 4 for attention, 3 x 8 x 16 behind it.
    shape = Architecture(
        model_type="llama",
        stacks=(stack,),
        vocabulary=100,
        positions=64,
        parameters=2 * 100 * 8 + 2 * (192 + 384),
        embedding_parameters=800,
        head_parameters=800,
        basis="by hand",
    )
    return msgspec.structs.replace(shape, **changes)


def encoder() -> Architecture:
    """One layer of hidden 8 with 2 heads, a feed-forward of 32, 4 tokens wherever it runs."""
    stack = Stack(
        name="encoder", layers=1, hidden=8, heads=2, kv_heads=2, head_dim=4, ffn=32, tokens=4
    )
    return Architecture(
        model_type="vit", stacks=(stack,), parameters=1000, labels=2, basis="by hand"
    )


def llama(billions: int = 7) -> Architecture:
    """Llama 2 as published: 7 or 70."""
    sizes = {
        7: (32, 4096, 32, 32, 11008, 6_738_415_616),
        70: (80, 8192, 64, 8, 28672, 68_976_648_192),
    }
    layers, hidden, heads, kv_heads, ffn, parameters = sizes[billions]
    stack = Stack(
        name="decoder",
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=128,
        ffn=ffn,
        gated=True,
        causal=True,
        rms=True,
    )
    return Architecture(
        model_type="llama",
        stacks=(stack,),
        vocabulary=32000,
        positions=4096,
        parameters=parameters,
        embedding_parameters=32000 * hidden,
        head_parameters=32000 * hidden,
        basis="config.json",
    )
