"""What is asked of a language model while it is measured: tokens of prompt, answer and context.

In: a workload, and how much the model takes. Refuses what has no room.
"""

from typing import Final

import msgspec

from deployopt.core.errors import UsageError
from deployopt.core.interface import PromptInputs
from deployopt.core.workload import Workload

CONTEXT: Final = 2048
"""Tokens of prompt and answer together where nobody says."""
PROMPT_TOKENS: Final = 64
"""Of a prompt at its real length, at most (sources/documents.py cuts them there)."""


class Requests(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of a prompt, of its answer, and of the context that is set aside."""

    prompt: int
    answer: int
    context: int


def requests_for(workload: Workload, name: str, inputs: PromptInputs) -> Requests:
    """What the workload asks of a model that takes so much.

    Raises:
        UsageError: more than the model takes, or a request that its context has no room for.
    """
    context = workload.context or min(CONTEXT, inputs.context)
    if context > inputs.context:
        raise UsageError(
            f"The workload asks for a context of {context:,} tokens, and {name} takes "
            f"{inputs.context:,}. Set workload.context in the target to at most that."
        )
    prompt = PROMPT_TOKENS if workload.length == "real" else int(workload.length)
    if prompt + workload.answer > context:
        raise UsageError(
            f"A request of {prompt:,} tokens and an answer of {workload.answer:,} do not fit a "
            f"context of {context:,}. Change workload.length, workload.answer or workload.context "
            "in the target."
        )
    return Requests(prompt=prompt, answer=workload.answer, context=context)
