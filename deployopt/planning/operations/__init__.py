"""What a model costs for one request, in closed form from its shape: nothing is loaded or run."""

from deployopt.planning.operations.requests import (
    DEFAULT_LENGTH,
    decode_facts,
    facts_of,
    prefill_facts,
)

__all__ = ["DEFAULT_LENGTH", "decode_facts", "facts_of", "prefill_facts"]
