"""The process that parses a graph and builds an engine; it dies with its parent.

In: what to build, as JSON in the first argument. Out: the engine and its listing in the folder that
was named; or what was refused, as `refused.json`. It is confined before the library is imported. A
builder without a card reads the model's folder, writes that folder, starts nothing and has no
network, and no GPU is looked for. One that times kernels on the card has no network either, but
keeps its files, as whatever else opens a model there: a driver's devices and caches are its own.
"""

import importlib
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import msgspec

from deployopt.confinement.confine import confine_measured, confine_reader
from deployopt.confinement.parent import die_with
from deployopt.core.engine import (
    BUILDERS,
    ENGINE_FILE,
    LISTING_FILE,
    TIMINGS_FILE,
    BuilderName,
    EngineListing,
    EngineOptions,
    EngineTensor,
    InputRange,
    sm_of,
)
from deployopt.core.errors import ExitCode
from deployopt.core.quiet import RTX_PACKAGE
from deployopt.core.text import safe_text
from deployopt.engines.listing import read_listing

REFUSED: Final = 65
"""Exit status: it is told in `refused.json` what was."""
REFUSED_FILE: Final = "refused.json"
_MESSAGES_MAX: Final = 200_000
_SAID: Final = 500
_ERRORS_MAX: Final = 5
_TYPES: Final = {"FLOAT": "fp32", "HALF": "fp16"}
_FULL: Final = re.compile(r"(?i)out ?of ?memory|could not be allocated")


class Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A graph, a folder that may hold timings, who builds, and how."""

    builder: BuilderName = "tensorrt-rtx"
    graph: str
    destination: str
    options: EngineOptions
    parent: int


class RefusedNode(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the parser would not take."""

    node: str
    operator: str
    why: str


class Refusal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why nothing was built: nodes that are refused, or a sentence, or a card that is not known."""

    nodes: tuple[RefusedNode, ...] = ()
    why: str = ""
    known: tuple[str, ...] = ()
    """The compute capabilities that the builder knows, where the one asked for is none of them."""
    full: bool = False
    """Whether the card's memory did not do."""


class RefusedError(Exception):
    """Something of the order cannot be built."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.why)
        self.refusal = refusal


class _Made(msgspec.Struct, frozen=True, kw_only=True):
    """An engine, what was said while it was built, and what the network says of itself."""

    engine: bytes
    messages: list[str]
    inputs: tuple[EngineTensor, ...]
    outputs: tuple[EngineTensor, ...]


def build(order: Order) -> int:
    """Do it; the status that the process ends with."""
    die_with(order.parent)
    graph, destination = Path(order.graph), Path(order.destination)
    builder = BUILDERS[order.builder]
    if builder.at_card:
        confine_measured(None)
    else:
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
        confine_reader([graph.parent], [destination])
    library = importlib.import_module(builder.module)
    try:
        made = _build(library, order)
    except RefusedError as error:
        (destination / REFUSED_FILE).write_bytes(msgspec.json.encode(error.refusal))
        return REFUSED
    (destination / ENGINE_FILE).write_bytes(made.engine)
    told = read_listing(made.messages)
    listing = EngineListing(
        builder=RTX_PACKAGE if order.builder == "tensorrt-rtx" else order.builder,
        version=library.__version__,
        options=order.options,
        engine_bytes=len(made.engine),
        weights_bytes=told.weights_bytes,
        activation_bytes=told.activation_bytes,
        # What is said of them in another form than is known is asked of the network.
        inputs=told.inputs or made.inputs,
        outputs=told.outputs or made.outputs,
        layers=told.layers,
    )
    (destination / LISTING_FILE).write_bytes(msgspec.json.encode(listing, order="sorted"))
    return ExitCode.ACCEPTED


def _build(trt: ModuleType, order: Order) -> _Made:
    messages: list[str] = []
    errors: list[str] = []
    logger = _logger(trt, messages, errors)
    at_card = BUILDERS[order.builder].at_card
    capability = None if at_card else _capability(trt, order.options)
    builder = _begun(trt, logger, errors)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse_from_file(order.graph):
        raise RefusedError(Refusal(nodes=_refused(parser), why=_last(errors)))
    config = _config(trt, builder, network, order.options)
    if capability is not None:
        config.num_compute_capabilities = 1
        config.set_compute_capability(capability, 0)
    timings = Path(order.destination) / TIMINGS_FILE
    # Its builder is given a pointer to the cache, which has to live as long.
    cache = _taken_timings(config, timings) if at_card else None
    del messages[:]
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise RefusedError(_unbuilt(errors))
    if cache is not None:
        timings.write_bytes(bytes(cache.serialize()))
    return _Made(
        engine=bytes(engine),
        messages=messages,
        inputs=_tensors(network.get_input, network.num_inputs),
        outputs=_tensors(network.get_output, network.num_outputs),
    )


def _capability(trt: ModuleType, options: EngineOptions) -> object:
    found = getattr(trt.ComputeCapability, sm_of(options.compute_capability), None)
    if found is None:
        known = [name for name in trt.ComputeCapability.__members__ if name.startswith("SM")]
        raise RefusedError(Refusal(known=tuple(known)))
    return found


def _begun(trt: ModuleType, logger: Any, errors: list[str]) -> Any:  # noqa: ANN401
    """A builder; the one that needs a card begins by looking for it."""
    try:
        return trt.Builder(logger)
    except (RuntimeError, TypeError) as error:
        said = _last(errors) or safe_text(str(error), _SAID)
        raise RefusedError(Refusal(why=f"it does not start: {said}")) from error


def _taken_timings(config: Any, path: Path) -> Any:  # noqa: ANN401
    """Kernels that were timed before are not timed again; None where nothing can be kept."""
    for kept in (path.read_bytes() if path.is_file() else b"", b""):
        cache = config.create_timing_cache(kept)
        if cache is not None and config.set_timing_cache(cache, ignore_mismatch=False):
            return cache
    return None


def _tensors(tensor_at: Callable[[int], Any], count: int) -> tuple[EngineTensor, ...]:
    return tuple(
        EngineTensor(
            name=safe_text(tensor.name, _SAID),
            dtype=_TYPES.get(tensor.dtype.name, tensor.dtype.name.casefold()),
            shape=tuple(int(size) for size in tensor.shape),
        )
        for tensor in map(tensor_at, range(count))
    )


def _unbuilt(errors: list[str]) -> Refusal:
    """Why there is no engine; of several reasons the one about memory, which others follow from."""
    full = [error for error in errors if _FULL.search(error)]
    why = _last(full or errors) or "the builder gives no reason"
    return Refusal(why=why, full=bool(full))


def _logger(trt: ModuleType, messages: list[str], errors: list[str]) -> Any:  # noqa: ANN401
    """A logger of the library's class, which is known only once it is imported."""

    class Log(trt.ILogger):  # type: ignore[name-defined, misc] # a class of a native library
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: object, message: str) -> None:
            if len(messages) < _MESSAGES_MAX:
                messages.append(message)
            if severity in {trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR}:
                errors.append(message)

    return Log()


def _config(
    trt: ModuleType,
    builder: Any,  # noqa: ANN401
    network: Any,  # noqa: ANN401
    options: EngineOptions,
) -> Any:  # noqa: ANN401
    config = builder.create_builder_config()
    if options.tf32:
        config.set_flag(trt.BuilderFlag.TF32)
    else:
        config.clear_flag(trt.BuilderFlag.TF32)
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace_bytes)
    config.builder_optimization_level = options.level
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    config.add_optimization_profile(_profile(builder, network, options.profile))
    return config


def _profile(builder: Any, network: Any, ranges: tuple[InputRange, ...]) -> Any:  # noqa: ANN401
    """The shapes of every input of the network.

    Raises:
        RefusedError: a shape that the graph fixes lies outside of what is asked for.
    """
    profile = builder.create_optimization_profile()
    known = {one.name: one for one in ranges}
    for at in range(network.num_inputs):
        tensor = network.get_input(at)
        fixed = tuple(int(size) for size in tensor.shape)
        one = known.get(tensor.name)
        if one is None:
            if any(size < 0 for size in fixed):
                raise RefusedError(
                    Refusal(why=f"no shapes are known of the input {tensor.name!r}, {fixed}")
                )
            one = InputRange(name=tensor.name, least=fixed, usual=fixed, most=fixed)
        if not _inside(fixed, one):
            raise RefusedError(
                Refusal(
                    why=f"the graph fixes the input {tensor.name!r} at {_shown(fixed)}, and the "
                    f"workload's requests are {_shown(one.least)} to {_shown(one.most)}. Give the "
                    "target's workload.batch as the graph has it, or export the graph with a free "
                    "batch"
                )
            )
        profile.set_shape(tensor.name, one.least, one.usual, one.most)
    return profile


def _inside(fixed: tuple[int, ...], one: InputRange) -> bool:
    """Whether the graph takes all of these shapes."""
    if not len(fixed) == len(one.least) == len(one.usual) == len(one.most):
        return False
    sizes = zip(fixed, one.least, one.usual, one.most, strict=True)
    return all(size < 0 or {size} == set(asked) for size, *asked in sizes)


def _shown(shape: tuple[int, ...]) -> str:
    return " x ".join("?" if size < 0 else str(size) for size in shape)


def _refused(parser: Any) -> tuple[RefusedNode, ...]:  # noqa: ANN401
    errors = [parser.get_error(at) for at in range(min(parser.num_errors, _ERRORS_MAX))]
    return tuple(
        RefusedNode(
            node=safe_text(error.node_name(), _SAID),
            operator=safe_text(error.node_operator(), _SAID),
            why=safe_text(error.desc(), _SAID),
        )
        for error in errors
    )


def _last(errors: list[str]) -> str:
    return safe_text(errors[-1], _SAID) if errors else ""


if __name__ == "__main__":
    sys.exit(build(msgspec.json.decode(sys.argv[1], type=Order)))
