"""What the reference says of documents and prompts, by torch in float32; no step of a recipe.

On the first card that torch sees, where it is large enough; `worked` is told where it was.
"""

from collections.abc import Callable, Sequence

from deployopt.core.choices import ChoiceQuestion
from deployopt.core.freeing import release_memory
from deployopt.core.samples import Feed
from deployopt.core.scores import Scored
from deployopt.core.source import SourceModel
from deployopt.core.worked import Worked


def score_reference(  # noqa: PLR0913 -- how, and who is told
    source: SourceModel,
    documents: Sequence[Feed],
    prompts: Sequence[Feed],
    threads: int,
    progress: Callable[[float, str], None],
    *,
    questions: Sequence[ChoiceQuestion] = (),
    worked: Worked | None = None,
) -> Scored:
    """NLL by document, a greedy answer of up to 64 tokens to each prompt, choices' likelihoods.

    Raises:
        StepError: the model does not load, or gives numbers that are not finite.
    """
    from deployopt.modeling.language.scoring import score

    found = score(
        source.artifact.folder,
        documents,
        prompts,
        questions=questions,
        threads=threads,
        progress=progress,
        worked=worked,
    )
    release_memory()
    return found
