"""What questions with choices showed of a language model, in sentences for every rendering."""

from collections.abc import Iterator

from deployopt.core.result import BuildResult
from deployopt.reports.words import show_count


def questions_words(result: BuildResult) -> Iterator[str]:
    """How many there are, how both models did at the gate, what to know; nothing without them."""
    if result.questions is None:
        return
    sizes = ", ".join(f"{show_count(n)} {name}" for name, n in result.questions.splits.items())
    yield f"{result.questions.name}: {sizes} questions"
    if result.gate is not None:
        trial = result.gate.trial
        name = "the chosen form" if result.chosen is None else result.chosen.recipe
        yield (
            f"right at the gate: the reference {_share(trial.reference_accuracy)}, {name} "
            f"{_share(trial.candidate_accuracy)}"
        )
    yield from result.questions.notes


def _share(value: float) -> str:
    return f"{100 * value:.1f} %"
