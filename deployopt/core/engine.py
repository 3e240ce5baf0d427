"""An engine: what it was built for and with, and what the builder says is in it.

`engine.json` in a bundle is an `EngineListing`; nothing in it was measured, as building runs
nothing.
"""

from typing import Final, Literal

import msgspec

ENGINE_FILE: Final = "model.engine"
LISTING_FILE: Final = "engine.json"
GRAPH_FILE: Final = "model.onnx"
"""The graph that the engine was built of."""
ASKED_FILE: Final = "asked.onnx"
"""The graph that a CPU answers by where it has no kernels of the deployed one's types."""
TIMINGS_FILE: Final = "timing.cache"
"""What a builder at the card measured of kernels, for the next build."""
RTX_CAPABILITIES: Final = ("7.5", "8.0", "8.6", "8.9", "12.0", "12.1")
"""Compute capabilities that TensorRT for RTX 1.7 builds engines for."""


_WORKSPACE_SHARE: Final = 0.25
_WORKSPACE_MAX: Final = 2**33


class Builder(msgspec.Struct, frozen=True, kw_only=True):
    """A library that builds engines; `name` is for sentences."""

    name: str
    module: str
    at_card: bool
    """Whether it times kernels on the card itself; the other one needs none."""


BuilderName = Literal["tensorrt-rtx", "tensorrt"]
BUILDERS: Final[dict[BuilderName, Builder]] = {
    "tensorrt-rtx": Builder(name="TensorRT for RTX", module="tensorrt_rtx", at_card=False),
    "tensorrt": Builder(name="TensorRT", module="tensorrt", at_card=True),
}


class InputRange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The shapes of one input that an engine answers: the least, the usual, the most."""

    name: str
    least: tuple[int, ...]
    usual: tuple[int, ...]
    most: tuple[int, ...]


class EngineOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an engine is built; the graph's own types decide precisions, layer by layer."""

    compute_capability: str
    """Of the card, such as `8.6`."""
    platform: str
    """The architecture of the processor beside the card."""
    profile: tuple[InputRange, ...] = ()
    workspace_bytes: int
    """The most scratch memory on the card that a layer may be given."""
    tf32: bool = False
    """Whether products of float32 may be worked out in TF32."""
    level: int = 3
    """The builder's optimization level, 0 to 5."""


class EngineTensor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An input or output; a dimension that a request decides is -1."""

    name: str
    dtype: str
    shape: tuple[int, ...]


class EngineLayer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A layer as the builder has fused it."""

    name: str
    kind: str
    precision: str
    """The lowest of what it reads: fp32, fp16, bf16, int8, …; `other` where none of these."""
    outputs: tuple[str, ...] = ()
    """The types of what it gives."""
    nodes: tuple[str, ...] = ()
    """Of the ONNX graph."""


class EngineListing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that is known of an engine without running it; sizes in bytes."""

    schema_version: int = 1
    builder: str
    """The package."""
    version: str
    options: EngineOptions
    engine_bytes: int
    weights_bytes: int | None = None
    activation_bytes: int | None = None
    """Device memory of one context beside the weights, by the builder's word."""
    inputs: tuple[EngineTensor, ...] = ()
    outputs: tuple[EngineTensor, ...] = ()
    layers: tuple[EngineLayer, ...] = ()
    """None where the builder lists them in another form than is read here."""

    @property
    def precisions(self) -> dict[str, int]:
        """Layers by precision, the most first."""
        counts: dict[str, int] = {}
        for layer in self.layers:
            counts[layer.precision] = counts.get(layer.precision, 0) + 1
        return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))


class EngineSummary(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a report shows of an engine."""

    builder: str
    version: str
    compute_capability: str
    layers: int
    precisions: dict[str, int]
    """Layers by precision."""
    weights_bytes: int | None = None
    activation_bytes: int | None = None
    workspace_bytes: int
    engine_bytes: int
    profile: tuple[InputRange, ...] = ()
    notes: tuple[str, ...] = ()
    """What was kept in a higher precision, and how the graph's answers moved."""
    ran: bool = False
    """Whether it has run on such a card; building runs nothing."""


def summary_of(listing: EngineListing, notes: tuple[str, ...] = ()) -> EngineSummary:
    """The listing in short."""
    return EngineSummary(
        builder=listing.builder,
        version=listing.version,
        compute_capability=listing.options.compute_capability,
        layers=len(listing.layers),
        precisions=listing.precisions,
        weights_bytes=listing.weights_bytes,
        activation_bytes=listing.activation_bytes,
        workspace_bytes=listing.options.workspace_bytes,
        engine_bytes=listing.engine_bytes,
        profile=listing.options.profile,
        notes=notes,
    )


def workspace_of(memory_bytes: float) -> int:
    """The most that a layer gets to work in, of the card's memory that one process may use."""
    return min(int(_WORKSPACE_SHARE * memory_bytes), _WORKSPACE_MAX)


def sm_of(compute_capability: str) -> str:
    """`8.6` is SM86, `12.0` is SM120."""
    return f"SM{compute_capability.replace('.', '')}"
