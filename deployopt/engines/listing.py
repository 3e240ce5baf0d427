"""What TensorRT for RTX says of an engine while it builds it, as a record.

In: the builder's messages, with the layers listed in detail. Out: layers with precisions, inputs
and outputs, memory. An engine can be asked for all this only where its card is, but the builder
tells it on the way. What it says in another form than is known here is left out.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from deployopt.core.engine import EngineLayer, EngineTensor
from deployopt.core.text import safe_text

_LAYER: Final = re.compile(
    r"^Name: (?P<name>.*?), LayerType: (?P<kind>[\w ]{1,64}), "
    r"Inputs: (?P<inputs>.*?), (?:Constants: (?P<constants>.*?), )?Outputs: (?P<outputs>.*?), "
    r"TacticName:.*?(?:Metadata: (?P<nodes>.*))?$"
)
_TENSOR: Final = re.compile(
    r"^ Name: (?P<name>.*?), IOMode: (?P<mode>Input|Output), DataType: (?P<dtype>\w+), "
    r"Dimensions: \[(?P<shape>[-\d,]*)\]"
)
_TYPE: Final = re.compile(r"Datatype: (\w+), Format:")
_NODE: Final = re.compile(r"\[ONNX Layer: ([^\]]*)\]")
_WEIGHTS: Final = re.compile(r"^Total Weights Memory: (\d{1,15}) bytes")
_ACTIVATIONS: Final = re.compile(r"^Total Activation Memory: (\d{1,15}) bytes")
_TYPES: Final = {
    "Float": "fp32",
    "Half": "fp16",
    "BFloat16": "bf16",
    "FP8": "fp8",
    "Int8": "int8",
    "Int4": "int4",
    "FP4": "fp4",
}
"""Of what is multiplied; the other types are indices, shapes and masks."""
_LOWEST_FIRST: Final = ("fp4", "int4", "fp8", "int8", "fp16", "bf16", "fp32")
_PLAIN: Final = "other"
_NAME_MAX: Final = 200
_NODES_MAX: Final = 64
LINE_MAX: Final = 20_000
LAYERS_MAX: Final = 20_000


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What was read."""

    layers: tuple[EngineLayer, ...]
    inputs: tuple[EngineTensor, ...]
    outputs: tuple[EngineTensor, ...]
    weights_bytes: int | None
    activation_bytes: int | None


def read_listing(messages: Iterable[str]) -> Told:
    """The last engine that the messages tell of."""
    layers: list[EngineLayer] = []
    tensors: dict[str, list[EngineTensor]] = {"Input": [], "Output": []}
    weights = activations = None
    for line in _lines(messages):
        if (found := _LAYER.match(line)) and len(layers) < LAYERS_MAX:
            layers.append(_layer(found))
        elif found := _TENSOR.match(line):
            tensors[found["mode"]].append(_tensor(found))
        elif found := _WEIGHTS.match(line):
            weights = int(found[1])
        elif found := _ACTIVATIONS.match(line):
            activations = int(found[1])
    return Told(
        layers=tuple(layers),
        inputs=tuple(tensors["Input"]),
        outputs=tuple(tensors["Output"]),
        weights_bytes=weights,
        activation_bytes=activations,
    )


def _lines(messages: Iterable[str]) -> Iterator[str]:
    for message in messages:
        for line in message.splitlines():
            yield line[:LINE_MAX]


def _layer(found: "re.Match[str]") -> EngineLayer:
    read = _types(f"{found['inputs']} {found['constants'] or ''}")
    given = _types(found["outputs"])
    nodes = _NODE.findall(found["nodes"] or "")[:_NODES_MAX]
    return EngineLayer(
        name=safe_text(found["name"], _NAME_MAX),
        kind=found["kind"],
        precision=_lowest(read or given),
        outputs=given,
        nodes=tuple(safe_text(node, _NAME_MAX) for node in nodes),
    )


def _types(text: str) -> tuple[str, ...]:
    return tuple(_TYPES.get(kind, kind.casefold()) for kind in _TYPE.findall(text))


def _lowest(types: tuple[str, ...]) -> str:
    return next((kind for kind in _LOWEST_FIRST if kind in types), _PLAIN)


def _tensor(found: "re.Match[str]") -> EngineTensor:
    shape = tuple(int(size) for size in found["shape"].split(",") if size.lstrip("-").isdigit())
    dtype = _TYPES.get(found["dtype"], found["dtype"].casefold())
    return EngineTensor(name=safe_text(found["name"], _NAME_MAX), dtype=dtype, shape=shape)
