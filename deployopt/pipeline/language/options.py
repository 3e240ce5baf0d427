"""Which options of a build a language model takes, and which of them one for a card."""

from deployopt.core.errors import UsageError
from deployopt.core.request import BuildRequest
from deployopt.pipeline.language.cards import require_built_apart

_RUNTIME = "onnxruntime-genai"


def require_asked_rightly(request: BuildRequest) -> None:
    """Refuse what only a classifier's build takes.

    Raises:
        UsageError: one of these was asked for.
    """
    if request.runtime not in {None, _RUNTIME}:
        raise UsageError(
            f"--runtime {request.runtime} is not for language models, which run on {_RUNTIME}. "
            "Leave it out."
        )
    if request.search_options:
        raise UsageError(
            f"{' and '.join(request.search_options)} cannot be asked of a language model: its "
            "forms are quantized, not searched for or taught. Leave it out; `deployopt finetune` "
            "trains a model before it is built."
        )
    require_built_apart(request)
