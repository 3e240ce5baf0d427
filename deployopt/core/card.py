"""A language model for a card that is not here: what it was made for, and that it has not run.

Its graph is no native code: any card of the provider opens it. What it takes there is predicted
from the target's numbers.
"""

from typing import Final

import msgspec

CUDA: Final = "cuda"
CUDA_RUNTIME: Final = "onnxruntime-genai-cuda"
"""The package that opens such a bundle."""


class CardNote(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a bundle's manifest says of it."""

    provider: str
    compute_capability: str
    """Of the card that times and memory were predicted for."""
    runtime: str
    version: str
    """Of the runtime whose builder wrote the graph."""
    ran: bool = False
    """Whether it had run on such a card when the bundle was written."""


class CardSummary(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a report shows of a form that is not run where it is built."""

    compute_capability: str
    version: str
    answer_s: float | None = None
    """Predicted, of a whole answer: what forms are chosen by; seconds."""
    answer_tokens: int
    prompt_tokens: int
    notes: tuple[str, ...] = ()
    ran: bool = False
