"""Rewritings of a float graph, each exact and each measured to win, then checked together.

A file goes in, a file comes out that gives the same numbers to 1e-5 of their scale on the requests
given. A graph that nothing can be asked of is copied as it is.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.artifact import Precision
from deployopt.core.errors import StepError
from deployopt.core.freeing import release_memory
from deployopt.core.samples import Feed
from deployopt.graph.describing import describe_onnx
from deployopt.graph.precision import precision_of
from deployopt.graph.reading import load_onnx
from deployopt.graph.rewrite_constants import lift_constants
from deployopt.graph.rewrite_first_token import keep_first_token
from deployopt.graph.rewrite_masks import shorten_masks
from deployopt.graph.rewrite_qkv import merge_shared_matmuls
from deployopt.graph.rewrite_reshapes import settle_reshapes
from deployopt.graph.running import RUN_ERRORS, largest_difference, made_up_feeds, run_graph
from deployopt.graph.writing import save_onnx

TOLERANCE: Final = 1e-5
CHECKED: Final = 4


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """The rewritings that may be left out."""

    merge: bool = True
    narrow: bool = True


class Rewritten(msgspec.Struct, frozen=True, kw_only=True):
    """What was done; `checked` is False where no request could be made and nothing was changed."""

    lifted: int = 0
    settled: int = 0
    shortened: int = 0
    narrowed: int = 0
    merged: int = 0
    difference: float = 0.0
    checked: bool
    precision: Precision


def optimize_graph(
    source: Path, destination: Path, feeds: Sequence[Feed], chosen: Chosen, *, threads: int
) -> Rewritten:
    """Rewrite `source` into `destination`.

    Raises:
        RefusedInputError: the source may not be opened.
        StepError: the rewritten graph does not say what the source says.
    """
    asked: Sequence[Feed] = feeds[:CHECKED] or made_up_feeds(describe_onnx(source))
    try:
        expected = run_graph(source, asked, threads)
    except RUN_ERRORS as error:
        if feeds:
            raise StepError(_not_run(source, asked[0], error)) from error
        return _left_alone(source, destination)
    release_memory()
    model = load_onnx(source, trusted=True)
    lifted = lift_constants(model)
    settled = settle_reshapes(model)
    shortened = shorten_masks(model)
    # Before products are merged: the last layer's queries are then another token's than its keys.
    narrowed = keep_first_token(model) if chosen.narrow else 0
    merged = merge_shared_matmuls(model) if chosen.merge else 0
    precision = precision_of(model)
    save_onnx(model, destination)
    del model
    release_memory()
    difference = largest_difference(expected, run_graph(destination, asked, threads))
    if difference > TOLERANCE:
        raise StepError(
            f"The rewritten graph differs from {source} by {difference:.2g} of its outputs' scale, "
            f"where {TOLERANCE:.0e} is allowed. Use Optimize(merge_qkv=False, first_token=False)."
        )
    return Rewritten(
        lifted=lifted,
        settled=settled,
        shortened=shortened,
        narrowed=narrowed,
        merged=merged,
        difference=difference,
        checked=True,
        precision=precision,
    )


def _left_alone(source: Path, destination: Path) -> Rewritten:
    model = load_onnx(source, trusted=True)
    save_onnx(model, destination)
    lift_constants(model)
    precision = precision_of(model)
    return Rewritten(checked=False, precision=precision)


def _not_run(source: Path, feed: Feed, error: Exception) -> str:
    given = ", ".join(f"{name} {array.dtype}{list(array.shape)}" for name, array in feed.items())
    said = " ".join(str(error).split())[:300]
    return (
        f"{source.name} does not run on its inputs ({given}): {said}. Give inputs that it takes as "
        "the data, with --data."
    )
