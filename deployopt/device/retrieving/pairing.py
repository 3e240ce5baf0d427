"""Reference and candidate on the same pairs of image and text: recall at 1 of both, pair by pair.

In: the embeddings that either gives, and the captions. Out: the record that the gate's bounds are
worked out of (core/recall_loss.py), and in which pairs the candidate finds less or more.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from deployopt.core.errors import IntegrityError
from deployopt.core.recall_loss import RecallLoss
from deployopt.core.samples import Feed
from deployopt.device.retrieving.ranking import Floats, Numbers, Ranked, rank

_DIGITS: Final = 10
_RANK: Final = 2


class Paired(msgspec.Struct, frozen=True, kw_only=True):
    """`lost` and `gained` are pairs of which the candidate finds less, and more, than before."""

    loss: RecallLoss
    lost: int
    gained: int


class Embeddings(msgspec.Struct, frozen=True, kw_only=True):
    """`[pairs, width]` of each tower."""

    images: Floats
    texts: Floats


def embeddings_of(names: Sequence[str], outputs: Sequence[Feed]) -> Embeddings:
    """All that was answered, in order.

    Raises:
        IntegrityError: the outputs are not an embedding an image and one a text.
    """
    images, texts = (_joined(name, outputs) for name in names)
    if images.shape != texts.shape:
        raise IntegrityError(
            f"The model's outputs have the shapes {list(images.shape)} and {list(texts.shape)}; an "
            "image-text model gives an embedding an image and one a text, of one width."
        )
    return Embeddings(images=images, texts=texts)


def pair_retrievals(
    captions: Sequence[str], reference: Embeddings, candidate: Embeddings
) -> Paired:
    """Let every image find its text among all, and every text its image."""
    groups = _groups(captions)
    theirs, ours = _both(reference, groups), _both(candidate, groups)
    pairs = len(groups)
    loss = _recall(theirs) - _recall(ours)
    without = np.mean([one.without_each() for one in theirs], axis=0) - np.mean(
        [one.without_each() for one in ours], axis=0
    )
    here, there = (np.stack([one.right for one in both]) for both in (ours, theirs))
    balance = here.sum(axis=0) - there.sum(axis=0)
    return Paired(
        loss=RecallLoss(
            reference=_recall(theirs),
            candidate=_recall(ours),
            image_to_text=(_share(theirs[0]), _share(ours[0])),
            text_to_image=(_share(theirs[1]), _share(ours[1])),
            unlike=int((here != there).any(axis=0).sum()),
            pulls=tuple(round(float(x), _DIGITS) for x in (pairs - 1) * (loss - without)),
        ),
        lost=int((balance < 0).sum()),
        gained=int((balance > 0).sum()),
    )


def _both(embeddings: Embeddings, groups: Numbers) -> tuple[Ranked, Ranked]:
    return (
        rank(embeddings.images, embeddings.texts, groups),
        rank(embeddings.texts, embeddings.images, groups),
    )


def _recall(both: tuple[Ranked, Ranked]) -> float:
    return (_share(both[0]) + _share(both[1])) / 2


def _share(one: Ranked) -> float:
    return float(one.right.mean())


def _groups(captions: Sequence[str]) -> Numbers:
    """The same number for the same caption; case and blanks make no other one."""
    known: dict[str, int] = {}
    plain = (" ".join(caption.casefold().split()) for caption in captions)
    return np.asarray([known.setdefault(one, len(known)) for one in plain], dtype=np.int64)


def _joined(name: str, outputs: Sequence[Feed]) -> npt.NDArray[np.float64]:
    parts = [np.asarray(output[name], dtype=np.float64) for output in outputs]
    if not parts or any(part.ndim != _RANK for part in parts):
        raise IntegrityError(f"The output {name!r} is no embedding a request: [batch, width].")
    return np.concatenate(parts)
