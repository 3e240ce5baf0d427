"""What stands on top of an encoder: poolers and heads, by the class that the config names.

In: the ending's word and the encoder's widths. Out: its parameters and its operators for one item.
Heads that every token passes have parameters but no operators here; their work is small.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from deployopt.core.plan import Operation
from deployopt.planning.architectures.counts import linear
from deployopt.planning.architectures.keys import Keys
from deployopt.planning.operations.counting import gemm

_DENSE: Final = frozenset({"pooler", "dense", "plain"})
Parts = Mapping[str, tuple[str, ...]]
BERT: Final[Parts] = {
    "base": ("pooler",),
    "classify": ("pooler", "out"),
    "tag": ("out",),
    "span": ("out",),
    "mask": ("transform", "vocabulary"),
    "pretrain": ("pooler", "transform", "vocabulary", "pair"),
}
ROBERTA: Final[Parts] = {
    "base": ("pooler",),
    "classify": ("dense", "out"),
    "tag": ("out",),
    "span": ("out",),
    "mask": ("transform", "vocabulary"),
}
DISTILBERT: Final[Parts] = {**ROBERTA, "base": ()}
ELECTRA: Final[Parts] = {
    **DISTILBERT,
    "mask": ("narrowing", "vocabulary"),
    "pretrain": ("dense", "one"),
}
ALBERT: Final[Parts] = {
    **BERT,
    "mask": ("narrowing", "vocabulary"),
    "pretrain": ("pooler", "narrowing", "vocabulary", "pair"),
}
# ModernBERT's and MobileBERT's own parts are sized by the families.
MODERNBERT: Final[Parts] = {
    "base": (),
    "classify": ("plain", "out"),
    "tag": ("plain", "out"),
    "span": ("plain", "out"),
    "mask": ("plain", "vocabulary"),
}
MOBILEBERT: Final[Parts] = {
    **BERT,
    "mask": ("transform", "widening", "vocabulary"),
    "pretrain": ("pooler", "transform", "widening", "vocabulary", "pair"),
}
DEBERTA: Final[Parts] = {**DISTILBERT, "mask": ("narrowing", "vocabulary")}


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """`vocabulary` are parameters of a head over the vocabulary that is not the embedding."""

    parameters: int
    vocabulary: int = 0
    labels: int = 0
    tied: bool = False
    operations: tuple[Operation, ...] = ()


class Widths(msgspec.Struct, frozen=True, kw_only=True):
    """What an ending's parts are sized by; `embedding` is the width of the lookup table."""

    hidden: int
    embedding: int
    vocabulary: int
    tied: bool = True
    own: Mapping[str, int] = {}
    """Parameters of parts that only this family has, by name."""


def ending(keys: Keys, parts: Parts, word: str, widths: Widths) -> Ending:
    """The ending that `word` calls for; the family's bare model where it has no such head."""
    names = parts.get("mask" if word == "generate" else word, parts["base"])
    labels = keys.labels() if "out" in names else 0
    hidden, narrow = widths.hidden, widths.embedding
    sizes = {
        "pooler": linear(hidden, hidden),
        "dense": linear(hidden, hidden),
        "transform": linear(hidden, hidden) + 2 * hidden,
        "narrowing": linear(hidden, narrow) + 2 * narrow,
        "pair": linear(hidden, 2),
        "one": linear(hidden, 1),
        "out": linear(hidden, labels),
        "vocabulary": widths.vocabulary,
        **widths.own,
    }
    own = widths.vocabulary * narrow if "vocabulary" in names and not widths.tied else 0
    return Ending(
        parameters=sum(sizes[name] for name in names) + own,
        vocabulary=own,
        labels=labels,
        tied="vocabulary" in names and widths.tied,
        operations=_operations(names, hidden, labels) if word in {"base", "classify"} else (),
    )


def _operations(names: tuple[str, ...], hidden: int, labels: int) -> tuple[Operation, ...]:
    dense = tuple(gemm(1, hidden, hidden) for name in names if name in _DENSE)
    return (*dense, gemm(1, hidden, labels)) if labels else dense
