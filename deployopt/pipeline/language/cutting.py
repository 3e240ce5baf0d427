"""Samples cut to the length that is trained with.

In: samples, the most tokens of one. Out: samples that are no longer, and what became of the others.
A dialogue loses whole turns from its end, up to an answer; a document is cut into pieces.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
import numpy as np

from deployopt.core.dialogues import Sample

_PIECE_MIN: Final = 8
"""Tokens of a document's last piece."""


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """What is left; of the longer ones so many were shortened, and so many left out."""

    length: int
    whole: bool
    samples: tuple[Sample, ...]
    shortened: int
    left_out: int

    def said(self, where: str) -> Iterator[str]:
        """One sentence for a person, where anything was too long."""
        what = "cut after an earlier answer" if self.whole else "cut into pieces"
        counts = {what: self.shortened, "left out": self.left_out}
        parts = [f"{count} {done}" for done, count in counts.items() if count]
        if parts:
            yield f"Longer than {self.length} tokens in {where}: {', '.join(parts)}."


def cut_to(length: int, samples: Sequence[Sample], *, whole: bool) -> Cut:
    """`whole`: they are dialogues, of which only whole turns are left out."""
    found: list[Sample] = []
    shortened = left_out = 0
    for sample in samples:
        pieces = [sample]
        if len(sample.ids) > length:
            pieces = list((_whole_turns if whole else _pieces)(sample, length))
        pieces = [piece for piece in pieces if piece.judged]
        shortened += bool(pieces) and len(sample.ids) > length
        left_out += not pieces
        found += pieces
    return Cut(
        length=length, whole=whole, samples=tuple(found), shortened=shortened, left_out=left_out
    )


def _whole_turns(sample: Sample, length: int) -> Iterator[Sample]:
    """Up to the last answer that is whole within the length; nothing where none is."""
    ends = np.flatnonzero(sample.learnt & ~np.append(sample.learnt[1:], False)) + 1
    fitting = ends[ends <= length]
    if len(fitting):
        yield _part(sample, 0, int(fitting[-1]))


def _pieces(sample: Sample, length: int) -> Iterator[Sample]:
    count = len(sample.ids)
    for start in range(0, count, length):
        if count - start >= _PIECE_MIN:
            yield _part(sample, start, min(start + length, count))


def _part(sample: Sample, start: int, end: int) -> Sample:
    learnt = sample.learnt[start:end].copy()
    learnt[0] = False
    return Sample(ids=sample.ids[start:end], learnt=learnt, of=sample.of)
