"""Which of several forms that answer as fast goes to the gate: the one that lost least.

In: finalists, the fastest first, with their trials on the search split. Out: the one that is wanted
most, and those that are slower than the fastest; words for the others. Rounds cannot tell two forms
apart that differ by a few per cent; likelihoods of the same documents can.
"""

from collections.abc import Sequence

from deployopt.core.nll import nll_increase_bounds
from deployopt.pipeline.candidates import Candidate
from deployopt.pipeline.choosing import shown_faster


def likelier_first(
    finalists: Sequence[Candidate],
) -> tuple[tuple[Candidate, ...], dict[str, str]]:
    """The least lost of the fastest and of those as fast, then the slower ones."""
    if not finalists:
        return (), {}
    fastest = finalists[0]
    level = [one for one in finalists if not one.is_float and not shown_faster(fastest, one)]
    others = [one for one in finalists if one not in level]
    if not level:
        return tuple(others), {}
    first, *rest = sorted(level, key=_increase)
    words = {one.recipe.name: f"as fast as {first.recipe.name}, which lost less" for one in rest}
    return (first, *others), words


def _increase(candidate: Candidate) -> float:
    if candidate.scores is None:
        return float("inf")
    return nll_increase_bounds(candidate.scores.documents).estimate
