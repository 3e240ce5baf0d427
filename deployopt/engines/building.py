"""An ONNX graph becomes an engine: for a card that need not be here, or for the one that is.

In: a plain graph whose own types say what is worked out in what, and options. Out: model.engine and
engine.json, and what building took. The library parses and compiles in a confined process. Refuses
with the node and the remedy what its parser does not take. TensorRT for RTX gave the same bytes for
the same graph, options and version every time it was tried; TensorRT times kernels, and what it
measured is taken from `timing.cache` in the destination, and put there.
"""

import os
import re
from pathlib import Path
from typing import Final

import msgspec
import psutil

from deployopt.confinement.running import EndedError, Took, Work, run_confined
from deployopt.core.codec import decode_json
from deployopt.core.engine import (
    BUILDERS,
    ENGINE_FILE,
    LISTING_FILE,
    TIMINGS_FILE,
    BuilderName,
    EngineListing,
    EngineOptions,
)
from deployopt.core.errors import IntegrityError, StepError
from deployopt.core.text import safe_text
from deployopt.core.units import Dimension, show_quantity
from deployopt.engines.child import REFUSED, REFUSED_FILE, Order, Refusal, RefusedNode
from deployopt.store.staging import remove_tree

CHILD: Final = "deployopt.engines.child"
TIMEOUT_S: Final = 1800.0
_SCRATCH: Final = "engine-scratch"
_CARDS: Final = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")
"""Which card is the first is a matter of both."""
_NEEDS: Final = "Build on a machine with more memory, or take a smaller model."
# The graph is held as a file, as weights of the network, and in the engine.
_COPIES: Final = 4
_BASE_BYTES: Final = 400 * 2**20
_CARD_FULL: Final = (
    "The card has too little free memory for that: see with nvidia-smi who has it, or take a "
    "smaller batch or model."
)
_SHOWN: Final = 3
_ASSERTED: Final = re.compile(r'^[^"]{1,200} && "(.{1,400})"$')
_UNKNOWN: Final = re.compile(r"(?i)plugin not found|plugin creator|^(false)?$")
"""What the parser says of an operator that it looked for among its plugins in vain."""
_NO_KERNEL: Final = re.compile(r"(\S{1,200}) has no runners that implement it")
_CLASSICAL: Final = frozenset(
    {
        "ArrayFeatureExtractor", "Binarizer", "CastMap", "CategoryMapper", "DictVectorizer",
        "FeatureVectorizer", "Imputer", "LabelEncoder", "LinearClassifier", "LinearRegressor",
        "Normalizer", "OneHotEncoder", "SVMClassifier", "SVMRegressor", "Scaler", "TreeEnsemble",
        "TreeEnsembleClassifier", "TreeEnsembleRegressor", "ZipMap",
    }
)  # fmt: skip
"""Operators of the domain ai.onnx.ml."""
_ELSEWHERE: Final = "build with --runtime onnxruntime or for a CPU target"


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """What is in the engine, and what building took."""

    listing: EngineListing
    seconds: float
    peak_bytes: int


def build_engine(
    graph: Path,
    destination: Path,
    options: EngineOptions,
    *,
    builder: BuilderName = "tensorrt-rtx",
    threads: int = 1,
) -> Built:
    """Write the engine and its listing into `destination`, a folder that exists.

    Raises:
        StepError: the graph has something that the builder refuses, there is too little memory, or
            it took too long.
    """
    require_memory(graph)
    scratch = destination / _SCRATCH
    scratch.mkdir()
    made = scratch / "made"
    made.mkdir()
    order = Order(
        builder=builder,
        graph=str(graph.absolute()),
        destination=str(made.absolute()),
        options=options,
        parent=os.getpid(),
    )
    work = Work(
        what=f"{BUILDERS[builder].name}, which builds the engine,",
        needs=_NEEDS,
        module=CHILD,
        order=order,
        scratch=scratch,
        threads=threads,
        timeout_s=TIMEOUT_S,
        passed_on=_CARDS if BUILDERS[builder].at_card else (),
    )
    try:
        _move(TIMINGS_FILE, destination, made)
        took = _run(work, made, order)
        for name in (ENGINE_FILE, LISTING_FILE, TIMINGS_FILE):
            _move(name, made, destination)
    finally:
        remove_tree(scratch)
    return Built(
        listing=read_engine_listing(destination / LISTING_FILE),
        seconds=took.seconds,
        peak_bytes=took.peak_bytes,
    )


def read_engine_listing(path: Path) -> EngineListing:
    """`engine.json` as the builder's process wrote it; raises IntegrityError where it is none."""
    return decode_json(path.read_bytes(), EngineListing, where=str(path))


def require_memory(graph: Path, available: int | None = None) -> None:
    """Raise StepError where the build would not fit in the memory that is free now."""
    beside = graph.with_name(f"{graph.name}.data")
    size = sum(path.stat().st_size for path in (graph, beside) if path.is_file())
    needed = _COPIES * size + _BASE_BYTES
    free = int(psutil.virtual_memory().available) if available is None else available
    if free < needed:
        want, have = (show_quantity(amount, Dimension.SIZE) for amount in (needed, free))
        raise StepError(
            f"Building an engine of this graph takes about {want} of memory, and {have} are free. "
            f"{_NEEDS}"
        )


def _move(name: str, source: Path, destination: Path) -> None:
    """What is there; a builder without timings leaves none."""
    if (source / name).exists():
        (source / name).rename(destination / name)


def _run(work: Work, made: Path, order: Order) -> Took:
    try:
        return run_confined(work)
    except EndedError as error:
        if error.status != REFUSED:
            raise
        refusal = _refusal(made / REFUSED_FILE)
        said = refusal_words(
            refusal, order.options.compute_capability, BUILDERS[order.builder].name
        )
        raise StepError(said) from None


def _refusal(path: Path) -> Refusal:
    try:
        return decode_json(path.read_bytes(), Refusal, where=path.name)
    except (OSError, IntegrityError):
        return Refusal(why="it did not say why")


def refusal_words(refusal: Refusal, capability: str, builder: str = "TensorRT for RTX") -> str:
    """A paragraph with what to do."""
    if refusal.known:
        return (
            f"{builder} builds no engine for compute capability {capability}; it knows "
            f"{', '.join(refusal.known)}."
        )
    absent = _NO_KERNEL.search(refusal.why)
    if absent and not refusal.nodes:
        return (
            f"{builder} does not take the graph: it has no kernel for the layer {absent[1]!r}. "
            f"Export the model without that operator, or {_ELSEWHERE}."
        )
    if not refusal.nodes:
        more = f" {_CARD_FULL}" if refusal.full else ""
        return f"{builder} could not build the engine: {refusal.why.rstrip('.')}.{more}"
    named = "; ".join(_node_words(node) for node in refusal.nodes[:_SHOWN])
    others = len(refusal.nodes) - _SHOWN
    left = f" (and {others} more)" if others > 0 else ""
    remedies = " ".join(dict.fromkeys(_remedy(node) for node in refusal.nodes[:_SHOWN]))
    return f"{builder} does not take the graph: {named}{left}. {remedies}"


def _node_words(node: RefusedNode) -> str:
    where = f"node {node.node!r}" if node.node else "a node without a name"
    what = f" ({node.operator})" if node.operator else ""
    # Of the library's own conditions only the sentence in them is for a person.
    said = _ASSERTED.sub(r"\1", node.why)
    if _UNKNOWN.search(said):
        said = "its parser has no such operator"
    return f"{where}{what}: {safe_text(said, 200).rstrip('.')}"


def _remedy(node: RefusedNode) -> str:
    """By what is known of the parser."""
    said = f"{node.operator} {node.why}".casefold()
    if "dynamicquantize" in said or "matmulinteger" in said or "convinteger" in said:
        return "Give the float model: its int8 form is made here, with signed Q/DQ pairs."
    if "zero point" in said or "zeropoint" in said or "uint8" in said:
        return (
            "Give the float model, or quantize it with signed, symmetric Q/DQ pairs: unsigned zero "
            "points are for CPUs."
        )
    if node.operator in _CLASSICAL:
        return (
            "Operators of classical machine learning are for CPUs: build for a CPU target, or "
            "export the model as operations on tensors."
        )
    if "plugin" in said or "importer" in said or "microsoft" in said:
        return (
            "Export the model without that operator (fused operators of ONNX Runtime have plain "
            f"forms), or {_ELSEWHERE}."
        )
    return f"Export the model in another form, or {_ELSEWHERE}."
