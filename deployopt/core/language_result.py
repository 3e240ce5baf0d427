"""What results say of a language model beside latency and memory: its answers, and their quality.

Base units: seconds, tokens a second, nats; shares of one.
"""

import msgspec

from deployopt.core.figure import Figure
from deployopt.core.measurement import Split


class GenerationSummary(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Answers of all counted rounds together; the raw times are in the bundle."""

    requests: int
    prompt_tokens: int
    """Of a typical request: the median."""
    answer_tokens: int
    quantile: float
    """The budget's q, of which `first_token_tail` speaks; 0.95 where no budget names one."""
    first_token: Figure
    """From the prompt's arrival to the first token of the answer: the median."""
    first_token_tail: Figure
    token_s: Figure | None = None
    """From each token to the next, the median; tokens of an answer depend on each other, so that
    it has no bounds."""
    token_tail_s: Figure | None = None
    """The 95th percentile of the same."""
    decode_tps: Figure | None = None
    """Tokens a second after the first, the middle round with the least and the most."""
    prefill_tps: Figure | None = None
    """Tokens of the prompt a second, up to the first of the answer, in the same way."""
    ratio: Figure | None = None
    """Decode time a token over the float one's, from interleaved rounds; below 1 is faster."""
    energy_token: Figure | None = None
    """Joules a token of the answer by the machine's own counter; None where it has none."""


class ScoreSummary(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Held text and prompts of one split through the reference and the candidate."""

    split: Split
    documents: int
    tokens: int
    reference_nll: float | None = None
    """Nats a token, over all tokens; None where nothing was scored."""
    candidate_nll: float | None = None
    increase: Figure
    """Relative, of the mean NLL a token."""
    prompts: int
    answer_tokens: int
    agreement: Figure
    """Share of the reference's tokens that the candidate would choose too."""
    non_finite: int = 0
    full_context_rss_bytes: int | None = None
    note: str = ""
