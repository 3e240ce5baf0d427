"""A decoder's cache of keys and values in s8, with one scale a channel, or one a layer.

The graph keeps its weights where they are: only the type of the cache changes, and its attention is
told the scales. Ranges are what real texts put into the cache. A rotary embedding turns pairs of a
key's channels by an angle that grows with the position, so a pair's range is its greatest length:
it then holds at positions that no text reached.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import onnx
import onnx.helper
import onnxruntime

from deployopt.core.errors import StepError
from deployopt.core.samples import Array, Feed
from deployopt.graph.index import GraphIndex, attribute, initializer
from deployopt.graph.running import RUN_ERRORS

ATTENTION: Final = "GroupQueryAttention"
"""The operator of com.microsoft that can read such a cache."""
_PAST_KEY, _PAST_VALUE, _COSINES = 3, 4, 7
_SCALES: Final = (12, 13)
_SIGNED: Final = 127.0
_LEAST: Final = 1e-8
_IDS, _MASK, _POSITIONS = "input_ids", "attention_mask", "position_ids"


class CacheLayer(msgspec.Struct, frozen=True, kw_only=True):
    """One attention's keys and values: graph inputs that come in, graph outputs that go out."""

    node: str
    past: tuple[str, str]
    present: tuple[str, str]
    heads: int
    width: int
    """Channels of a head."""
    turned: int
    """Of them, those that the rotary embedding turns; 0 where it is not the attention's."""
    interleaved: bool
    """Whether a pair is two neighbours, or a channel and the one half of `turned` further."""


def cache_layers(model: onnx.ModelProto, width: int) -> tuple[CacheLayer, ...]:
    """Every layer's cache; empty where one could not be kept in few bits, or is already.

    `width`: channels of a head, which the graph may leave open.
    """
    index = GraphIndex(model)
    inputs = {value.name: value for value in model.graph.input}
    layers = tuple(
        _layer(index, node, inputs, width) for node in model.graph.node if node.op_type == ATTENTION
    )
    cached = {name for layer in layers if layer for name in layer.past}
    others = {name for name in inputs if name.startswith("past")} - cached
    found = tuple(layer for layer in layers if layer is not None)
    return found if len(found) == len(layers) and not others else ()


def cache_ranges(
    path: Path,
    layers: Sequence[CacheLayer],
    documents: Iterable[Feed],
    threads: int,
    seen: Callable[[int], None],
) -> dict[str, Array]:
    """Greatest absolute value by output of `present`, `[heads, width]`, over all documents.

    Raises:
        StepError: a document does not run, or gives numbers that are not finite.
    """
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    names = [name for layer in layers for name in layer.present]
    inputs = {given.name for given in session.get_inputs()}
    ranges: dict[str, Array] = {}
    for number, document in enumerate(documents):
        try:
            found = session.run(names, _first(document, layers, inputs))
        except RUN_ERRORS as error:
            said = " ".join(str(error).split())[:300]
            raise StepError(f"Calibration text {number} does not run: {said}.") from error
        values = dict(zip(names, found, strict=True))
        for layer in layers:
            keys, others = (np.abs(values[name][0]) for name in layer.present)
            _widen(ranges, layer.present[0], _lengths(keys, layer), number)
            _widen(ranges, layer.present[1], others, number)
        seen(number + 1)
    return ranges


def quantize_cache(
    model: onnx.ModelProto,
    layers: Sequence[CacheLayer],
    ranges: dict[str, Array],
    *,
    per_channel: bool,
) -> None:
    """Change the graph; its external data stays as it is."""
    held = {name for layer in layers for name in (*layer.past, *layer.present)}
    for value in (*model.graph.input, *model.graph.output):
        if value.name in held:
            value.type.tensor_type.elem_type = onnx.TensorProto.INT8
    nodes = {node.name: node for node in model.graph.node}
    kind = "PER_CHANNEL" if per_channel else "PER_TENSOR"
    for layer in layers:
        node = nodes[layer.node]
        node.input.extend("" for _ in range(_SCALES[-1] + 1 - len(node.input)))
        for at, name, letter in zip(_SCALES, layer.present, "kv", strict=True):
            scale = _scale(ranges[name], per_channel=per_channel)
            made = f"{layer.node}.{letter}_scale"
            model.graph.initializer.append(initializer(made, scale))
            node.input[at] = made
            node.attribute.append(onnx.helper.make_attribute(f"{letter}_quant_type", kind))
        node.attribute.append(onnx.helper.make_attribute("kv_cache_bit_width", 8))


def _layer(
    index: GraphIndex, node: onnx.NodeProto, inputs: dict[str, onnx.ValueInfoProto], width: int
) -> CacheLayer | None:
    past = (node.input[_PAST_KEY], node.input[_PAST_VALUE])
    if not node.name or not all(_is_float(inputs.get(name)) for name in past):
        return None
    present = (node.output[1], node.output[2])
    heads = attribute(node, "kv_num_heads")
    if not index.outputs.issuperset(present) or not isinstance(heads, int):
        return None
    turned = 0
    if attribute(node, "do_rotary", 0):
        # Where the angles are chosen by length, the graph does not say how many channels turn.
        cosines = index.weights.get(node.input[_COSINES])
        turned = width if cosines is None else 2 * cosines.dims[1]
    return CacheLayer(
        node=node.name,
        past=past,
        present=present,
        heads=heads,
        width=width,
        turned=turned,
        interleaved=bool(attribute(node, "rotary_interleaved", 0)),
    )


def _is_float(value: onnx.ValueInfoProto | None) -> bool:
    return value is not None and value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT


def _first(document: Feed, layers: Sequence[CacheLayer], inputs: set[str]) -> Feed:
    """The document read in one go, with nothing before it."""
    ids = np.asarray(document[_IDS], np.int64)
    feed: dict[str, Array] = {
        _IDS: ids,
        _MASK: np.ones_like(ids),
        _POSITIONS: np.arange(ids.shape[1], dtype=np.int64)[None],
    }
    for layer in layers:
        empty = np.zeros((1, layer.heads, 0, layer.width), np.float32)
        feed.update(dict.fromkeys(layer.past, empty))
    return {name: array for name, array in feed.items() if name in inputs}


def _lengths(keys: Array, layer: CacheLayer) -> Array:
    """Of `[heads, tokens, width]`, each turned channel as long as its pair."""
    if not layer.turned:
        return keys
    turned, rest = keys[..., : layer.turned], keys[..., layer.turned :]
    if layer.interleaved:
        pairs = np.hypot(turned[..., 0::2], turned[..., 1::2])
        return np.concatenate([np.repeat(pairs, 2, axis=-1), rest], axis=-1)
    half = layer.turned // 2
    pairs = np.hypot(turned[..., :half], turned[..., half:])
    return np.concatenate([pairs, pairs, rest], axis=-1)


def _widen(ranges: dict[str, Array], name: str, values: Array, number: int) -> None:
    found = values.max(axis=1)
    if not np.isfinite(found).all():
        raise StepError(
            f"The decoder's cache is not finite for calibration text {number}. Check the data, or "
            "leave the cache in float."
        )
    ranges[name] = np.maximum(ranges.get(name, 0.0), found)


def _scale(greatest: Array, *, per_channel: bool) -> Array:
    scale: Array = np.maximum(greatest / _SIGNED, _LEAST).astype(np.float32)
    return scale[None, :, None, :] if per_channel else np.array([scale.max()])
