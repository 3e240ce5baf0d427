"""Which text an image finds first among all, and the other way round, with any one pair left out.

In: embeddings `[pairs, width]` of images and texts, and which texts are the same. Out: which of the
answers are right, and what becomes of them without each pair in turn. An answer is right where the
text that was found is the image's own word for word: of two pictures with one caption, either will
do. An embedding that is not finite finds nothing and is found by none.
"""

from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

_BLOCK: Final = 512
"""Questions that are compared with all candidates at once."""

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int64]


class Ranked(msgspec.Struct, frozen=True, kw_only=True):
    """Of one direction, by question: the first two candidates, and whether each is right."""

    first: Numbers
    right: Bools
    next_right: Bools

    def without_each(self) -> Floats:
        """Share right `[pairs]` when each pair in turn is neither asked nor found."""
        pairs = len(self.first)
        total = self.right.sum() - self.right.astype(np.float64)
        others = self.first != np.arange(pairs)
        changes = self.next_right.astype(np.float64) - self.right
        total += np.bincount(self.first[others], weights=changes[others], minlength=pairs)
        return np.asarray(total / (pairs - 1), dtype=np.float64)


def rank(questions: Floats, candidates: Floats, groups: Numbers) -> Ranked:
    """What each question finds; `groups` has the same number where the text is the same.

    Raises:
        ValueError: there are not two pairs, or not as many of each.
    """
    pairs = len(groups)
    if pairs < 2 or len(questions) != pairs or len(candidates) != pairs:  # noqa: PLR2004 -- a rank
        raise ValueError("recall needs two pairs or more, and as many images as texts")
    asked, silent = _directions(questions)
    offered, unseen = _directions(candidates)
    first = np.empty(pairs, dtype=np.int64)
    second = np.empty(pairs, dtype=np.int64)
    for start in range(0, pairs, _BLOCK):
        likeness = asked[start : start + _BLOCK] @ offered.T
        likeness[:, unseen] = -np.inf
        best = likeness.argmax(axis=1)
        likeness[np.arange(len(best)), best] = -np.inf
        first[start : start + _BLOCK] = best
        second[start : start + _BLOCK] = likeness.argmax(axis=1)
    return Ranked(
        first=first,
        right=(groups[first] == groups) & ~silent & ~unseen[first],
        next_right=(groups[second] == groups) & ~silent & ~unseen[second],
    )


def _directions(embeddings: Floats) -> tuple[Floats, Bools]:
    """Of length 1, and which are no direction at all."""
    finite = np.asarray(np.isfinite(embeddings).all(axis=1))
    known = np.where(finite[:, None], embeddings, 0.0)
    lengths = np.linalg.norm(known, axis=1)
    nothing = np.asarray(~finite | (lengths == 0.0))
    return known / np.where(nothing, 1.0, lengths)[:, None], nothing
