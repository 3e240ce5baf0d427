"""Session options: whether the best form gains by being opened in another way.

In: the best form's artifact. Out: a step that opens it so, where a few interleaved rounds prove a
gain; mostly there is none. Only on the target itself: elsewhere threads wait in other ways.
"""

from typing import Final

from deployopt.core.artifact import Artifact, Format
from deployopt.core.errors import StepError
from deployopt.core.evidence import Evidence
from deployopt.core.recipe import Recipe
from deployopt.pipeline.making import make
from deployopt.pipeline.searching.run import SearchRun
from deployopt.pipeline.searching.timing import time_artifacts
from deployopt.steps.configure import Configure

_WAYS: Final = {
    "threads that do not spin": Configure(entries={"session.intra_op.allow_spinning": "0"}),
    "work cut finer": Configure(entries={"session.dynamic_block_base": "4"}),
    "every graph optimizer": Configure(without=()),
}
_ROUNDS: Final = 5
_GAIN: Final = 0.98
"""The upper bound of the ratio has to be below this."""


def better_session(run: SearchRun, artifact: Artifact) -> tuple[Configure | None, str]:
    """The step that gains most, or None, and a sentence on what was found."""
    if artifact.format is not Format.ONNX or run.prepared.evidence is not Evidence.TARGET:
        return None, ""
    run.watcher.stage("Sessions", quiet=True)
    made = {}
    for name, step in _WAYS.items():
        recipe = Recipe(name=name, steps=(step,))
        try:
            made[name] = make(recipe, artifact, run.prepared.bench, lambda *_: None).artifact
        except StepError as error:
            run.watcher.note(f"Session options ({name}): {error}")
    timed = time_artifacts([artifact, *made.values()], run.prepared, run.watcher, _ROUNDS)[1:]
    found = {
        name: one
        for name, one in zip(made, timed, strict=True)
        if one.upper is not None and one.upper < _GAIN
    }
    run.budget.lap_s()
    if not found:
        return None, "No session option gained anything."
    best = min(found, key=lambda name: found[name].ratio)
    gain = 100 * (1 - found[best].ratio)
    return _WAYS[best], f"Opened with {best} it takes {gain:.0f} % less time."
