"""A causal language model's folder to a graph for onnxruntime-genai, by that project's own builder.

In: a folder in Hugging Face form and the builder's options. Out: genai_config.json, model.onnx with
its data, tokenizer files, and what building took. The builder runs in a confined process of its
own. What it writes about this machine is taken out, so that the same model gives the same bytes.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from deployopt.confinement.running import TIMEOUT_S, EndedError, Work, run_confined
from deployopt.core.errors import StepError
from deployopt.modeling.language.builder_child import UNKNOWN, Order
from deployopt.store.staging import remove_tree

CONFIG: Final = "genai_config.json"
GRAPH: Final = "model.onnx"
CHILD: Final = "deployopt.modeling.language.builder_child"
_TOKENIZER_CONFIG: Final = "tokenizer_config.json"
_SCRATCH: Final = "builder-scratch"
_WHAT: Final = "The model builder of onnxruntime-genai"
_NEEDS: Final = (
    "It needs about three times the model's weights; build on a machine with more memory, or take "
    "a smaller model."
)
# What tells of this machine, and not of the model.
_LOCAL: Final = frozenset({"is_local", "local_files_only", "name_or_path", "_name_or_path"})


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """The builder's precision and execution provider, and its options as NAME=VALUE."""

    precision: str
    provider: str = "cpu"
    options: tuple[str, ...] = ()
    threads: int = 1
    timeout_s: float = TIMEOUT_S


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """What it took."""

    seconds: float
    peak_bytes: int
    """The most memory that the builder had resident."""


class UnknownArchitectureError(StepError):
    """The builder knows no model of that class."""


def build_decoder(source: Path, destination: Path, wanted: Wanted) -> Built:
    """Fill `destination`, an empty folder that exists.

    Raises:
        UnknownArchitectureError: the builder does not know the model's class.
        StepError: it failed, took too long, or there was too little memory.
    """
    scratch = destination / _SCRATCH
    (scratch / "cache").mkdir(parents=True)
    try:
        built = _run(_order(source, destination, scratch / "cache", wanted), scratch, wanted)
    finally:
        remove_tree(scratch)
    missing = [name for name in (CONFIG, GRAPH) if not (destination / name).is_file()]
    if missing:
        raise StepError(f"The model builder ended well and wrote no {missing[0]}.")
    for name in (CONFIG, _TOKENIZER_CONFIG):
        _write_plainly(destination / name)
    return built


def _order(source: Path, destination: Path, cache: Path, wanted: Wanted) -> Order:
    return Order(
        source=str(source.absolute()),
        destination=str(destination.absolute()),
        cache=str(cache.absolute()),
        precision=wanted.precision,
        provider=wanted.provider,
        options=wanted.options,
        parent=os.getpid(),
    )


def _run(order: Order, scratch: Path, wanted: Wanted) -> Built:
    work = Work(
        what=_WHAT,
        needs=_NEEDS,
        module=CHILD,
        order=order,
        scratch=scratch,
        threads=wanted.threads,
        timeout_s=wanted.timeout_s,
    )
    try:
        took = run_confined(work)
    except EndedError as error:
        if error.status == UNKNOWN:
            raise UnknownArchitectureError(f"{_WHAT} does not know the model's class.") from error
        raise
    return Built(seconds=took.seconds, peak_bytes=took.peak_bytes)


def _write_plainly(path: Path) -> None:
    """The same settings without those that name this machine, keys in order."""
    if not path.is_file():
        return
    found: Mapping[str, object] = json.loads(path.read_text("utf-8"))
    kept = {name: value for name, value in found.items() if name not in _LOCAL}
    text = json.dumps(kept, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    path.write_text(text, encoding="utf-8")
