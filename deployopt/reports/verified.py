"""The figures that a verification shows, by name: what was measured, whatever the budgets are."""

from collections.abc import Iterator
from typing import TypeAlias

from deployopt.core.figure import Figure
from deployopt.core.language_result import GenerationSummary
from deployopt.core.result import LatencySummary, VerifyResult
from deployopt.core.units import Dimension
from deployopt.reports.words import loss_words, tail_word

Named: TypeAlias = tuple[str, Dimension, Figure]


def verify_figures(result: VerifyResult) -> Iterator[Named]:
    """Each with its name and what it counts."""
    if result.accuracy is not None:
        yield loss_words(result.accuracy), Dimension.SHARE, result.accuracy.loss
    if result.scores is not None:
        yield "NLL increase", Dimension.PERCENT, result.scores.increase
        yield "agreement", Dimension.PERCENT, result.scores.agreement
    if result.generation is not None:
        yield from _of_answers(result.generation)
    if result.latency is not None:
        yield from _of_requests(result.latency, whole=result.generation is not None)
    if result.memory is not None:
        yield "memory peak", Dimension.SIZE, result.memory
    if result.size is not None:
        yield "artifact size", Dimension.SIZE, result.size


def _of_requests(latency: LatencySummary, *, whole: bool) -> Iterator[Named]:
    """Of a language model a request is a whole answer, and its rate says nothing."""
    name = "whole answer" if whole else "latency"
    yield f"{name} p50", Dimension.TIME, latency.median
    yield f"{name} {tail_word(latency)}", Dimension.TIME, latency.tail
    if latency.throughput is not None and not whole:
        yield "throughput", Dimension.RATE, latency.throughput
    if latency.energy is not None:
        yield "energy", Dimension.ENERGY, latency.energy


def _of_answers(found: GenerationSummary) -> Iterator[Named]:
    yield "first token p50", Dimension.TIME, found.first_token
    yield f"first token p{found.quantile * 100:g}", Dimension.TIME, found.first_token_tail
    rates = (("decode", found.decode_tps), ("prefill", found.prefill_tps))
    yield from ((name, Dimension.TOKEN_RATE, rate) for name, rate in rates if rate is not None)
    steps = (("token p50", found.token_s), ("token p95", found.token_tail_s))
    yield from ((name, Dimension.TIME, step) for name, step in steps if step is not None)
    if found.energy_token is not None:
        yield "energy a token", Dimension.ENERGY, found.energy_token
