"""How many tokens are counted with, and what is worth a warning about them.

A table of positions ends where it ends: nothing longer can be run. Rotary and relative positions go
on; a model runs beyond what it was trained for, and memory is counted for what was asked.
"""

from typing import Final

from deployopt.core.architecture import Architecture
from deployopt.core.fit import Use
from deployopt.core.target import Target
from deployopt.core.units import Dimension, show_quantity
from deployopt.planning.memory.inference import usual_context
from deployopt.planning.memory.passing import logit_bytes
from deployopt.planning.usable import reads_text

_SCORED_UNTIL: Final = "4.45"


def within_positions(asked: int | None, architecture: Architecture) -> int:
    """What was asked for, or the usual; no more than a table of positions holds."""
    wanted = usual_context(architecture) if asked is None else asked
    return architecture.within(wanted)


def over_the_limit(asked: int | None, architecture: Architecture) -> tuple[str, ...]:
    """Where more tokens were asked for than the config speaks of."""
    said = architecture.positions
    if asked is None or said is None or asked <= said or not reads_text(architecture):
        return ()
    wanted = f"{asked:,} tokens were asked for; the model's config"
    if architecture.longest is not None:
        return (f"{wanted} allows {said:,}, counted with.",)
    beyond = f"it runs beyond them, untrained; counted with {asked:,}."
    return (f"{wanted} speaks of {said:,}. Its positions have no table: {beyond}",)


def scored_prompt(
    target: Target, architecture: Architecture, uses: tuple[Use, ...], best: int | None
) -> tuple[str, ...]:
    """Where the best use would not surely fit by an older Transformers, which scores the prompt."""
    if best is None or not architecture.generates or target.runtime.provider == "cpu":
        return ()
    use = uses[best]
    if use.context is None:
        return ()
    more = logit_bytes(architecture, use.batch * (use.context - 1))
    if use.need.total.upper + more <= use.available_bytes:
        return ()
    scores = f"{show_quantity(more, Dimension.SIZE)} more at {use.context:,} tokens"
    before = f"Transformers before {_SCORED_UNTIL} scores every token of a prompt"
    return (f"{before}: {scores}, and {use.precision} may not fit.",)
