"""Which layers a quantized model loses its answers by, and the same step without them.

In: a float ONNX artifact, a quantizing step, real requests. Out: every layer with what quantizing
it alone does to the answers, worst first. Each layer is asked from its own place in the graph on:
what comes before it is float, and is computed once.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from deployopt.core.artifact import Artifact, SessionOptions
from deployopt.core.errors import StepError
from deployopt.core.freeing import release_memory
from deployopt.core.samples import Array, Feed
from deployopt.core.search import LayerError
from deployopt.steps.quantize import QuantizeDynamic, QuantizeStatic
from deployopt.steps.session import CPU_SESSION, STATIC_SESSION
from deployopt.steps.symmetric import QuantizeSymmetric

if TYPE_CHECKING:
    import onnx

    from deployopt.graph.divergence import Change
    from deployopt.graph.layers import Layer, Quantizer
    from deployopt.graph.running import Session

Quantize = QuantizeDynamic | QuantizeStatic | QuantizeSymmetric
AnyQuantize = TypeVar("AnyQuantize", bound=Quantize)
_SCRATCH: Final = "ranking.onnx"
FIRST_PASS: Final = 64
LATER_PASS: Final = 256
"""Requests of a pass over all layers, whose values between two nodes are held at once."""
HELD_BYTES: Final = 2**29
_GROWTH: Final = 16
"""What a first pass takes the largest values between nodes to be, over the inputs."""


def _silent(done: float, what: str) -> None:
    """No one is watching."""


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """How layers are asked.

    `output` is the graph's output that is compared, classes by their shares where it `classifies`.
    `calibration` is for a static step. `workdir` is a folder that may be written; nothing stays.
    """

    output: str
    classifies: bool
    workdir: Path
    calibration: Sequence[Feed] = ()
    threads: int = 1
    progress: Callable[[float, str], None] = _silent
    deadline_s: float | None = None
    """From the call on; looked at before each layer."""


class Ranking(msgspec.Struct, frozen=True, kw_only=True):
    """Layers, most sensitive first, over so many requests; `unranked` had no time left."""

    layers: tuple[LayerError, ...]
    examples: int
    unranked: tuple[str, ...] = ()
    seconds: float


def excluding(quantize: AnyQuantize, names: Sequence[str]) -> AnyQuantize:
    """The same step that leaves these nodes too in float; the order of names does not matter."""
    added: set[str] = {escape(name) for name in names} - set(quantize.exclude)
    return msgspec.structs.replace(quantize, exclude=(*quantize.exclude, *sorted(added)))


def rank_layers(
    source: Artifact, quantize: Quantize, feeds: Sequence[Feed], probe: Probe
) -> Ranking:
    """Quantize each layer alone and compare the answers with the float graph's.

    A first pass asks 64 of the requests, or as many as memory allows, of every layer; further ones
    take the others while there is time. So all layers that are ranked are ranked by the same
    requests.

    Raises:
        RefusedInputError: the source may not be opened.
        StepError: nothing to quantize, nothing to ask, or a request does not run.
    """
    from deployopt.graph.layers import need_layers

    if not feeds:
        raise StepError("Layers are ranked on real inputs and none were given.")
    clock = _Clock(probe.deadline_s)
    session = CPU_SESSION if isinstance(quantize, QuantizeDynamic) else STATIC_SESSION
    asking = _Asking(_quantizer(source, quantize, probe), session, probe, clock)
    need_layers(asking.layers)
    known: dict[str, list[Change]] = {}
    asked, size = 0, _first_pass(feeds)
    complete = True
    while asked < len(feeds) and complete and not (known and clock.over()):
        requests = feeds[asked : asked + size]
        found = asking.ask(requests)
        complete = len(found) == len(asking.layers)
        if known and not complete:
            break
        for name, changes in found.items():
            known.setdefault(name, []).extend(changes)
        asked += len(requests)
        size = max(1, min(LATER_PASS, HELD_BYTES // asking.most_bytes))
    layers = [
        _layer_error(layer, known[layer.name]) for layer in asking.layers if layer.name in known
    ]
    return Ranking(
        layers=tuple(sorted(layers, key=lambda layer: -layer.error)),
        examples=asked,
        unranked=tuple(layer.name for layer in asking.layers if layer.name not in known),
        seconds=clock.seconds(),
    )


class _Clock:
    def __init__(self, deadline_s: float | None) -> None:
        self._started = time.perf_counter_ns()
        self._deadline_s = deadline_s

    def seconds(self) -> float:
        return (time.perf_counter_ns() - self._started) / 1e9

    def over(self) -> bool:
        return self._deadline_s is not None and self.seconds() >= self._deadline_s


def _first_pass(feeds: Sequence[Feed]) -> int:
    given = sum(array.nbytes for array in feeds[0].values())
    return max(1, min(FIRST_PASS, HELD_BYTES // (_GROWTH * max(1, given))))


def _quantizer(source: Artifact, quantize: Quantize, probe: Probe) -> "Quantizer":
    from deployopt.graph.layers import DynamicLayers, StaticLayers, SymmetricLayers
    from deployopt.graph.quantize_static import calibrate_static

    if isinstance(quantize, QuantizeDynamic):
        return DynamicLayers(source.path, quantize.options())
    options = quantize.options(probe.threads)
    found = calibrate_static(
        source.path,
        probe.workdir / _SCRATCH,
        probe.calibration[: quantize.samples],
        options,
        lambda _, words: probe.progress(0.0, words),
    )
    kind = SymmetricLayers if isinstance(quantize, QuantizeSymmetric) else StaticLayers
    return kind(found, options)


class _Asking:
    """A quantizer's layers, asked one after the other."""

    def __init__(
        self, quantizer: "Quantizer", shipped: SessionOptions, probe: Probe, clock: _Clock
    ) -> None:
        from deployopt.graph.tails import Graph

        self.layers = quantizer.layers
        self.most_bytes = 1
        self._quantizer = quantizer
        self._graph = Graph(quantizer.model)
        self._shipped = shipped
        self._probe = probe
        self._clock = clock

    def ask(self, requests: Sequence[Feed]) -> "dict[str, list[Change]]":
        """What each layer changes, by name, until the time is over."""
        from deployopt.graph.divergence import changes
        from deployopt.graph.tails import Playing

        playing = Playing(self._graph, self._probe.output, requests, self._open)
        expected = playing.answers(*playing.tail())
        found: dict[str, list[Change]] = {}
        for number, layer in enumerate(self.layers):
            if self._clock.over():
                break
            self._say(number, layer.name, len(requests))
            playing.advance(layer.place)
            tail, beside = playing.tail(inside=layer.read)
            answers = playing.answers(self._quantizer.alone(tail, layer), beside)
            found[layer.name] = [
                change
                for answer, wanted in zip(answers, expected, strict=True)
                for change in changes(answer, wanted, classifies=self._probe.classifies)
            ]
            release_memory()
        self.most_bytes = max(self.most_bytes, playing.most_bytes)
        return found

    def _open(self, model: "onnx.ModelProto", beside: "Mapping[str, Array]") -> "Session":
        from deployopt.graph.running import open_as_shipped

        scratch = self._probe.workdir / _SCRATCH
        return open_as_shipped(model, beside, scratch, self._shipped, self._probe.threads)

    def _say(self, number: int, name: str, requests: int) -> None:
        total = len(self.layers)
        self._probe.progress(
            number / total, f"layer {number + 1} of {total}, {requests} inputs: {name}"
        )


def _layer_error(layer: "Layer", seen: "Sequence[Change]") -> LayerError:
    return LayerError(
        name=layer.name,
        operator=layer.operator,
        weights=layer.weights,
        error=sum(change.error for change in seen) / len(seen),
        changed=sum(change.other_class for change in seen) / len(seen),
    )
