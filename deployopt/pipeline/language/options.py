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
    given = {
        "--train-data": request.train_data,
        "--unlabelled": request.unlabelled,
        "--time-limit": request.time_limit_s,
    }
    wrong = [option for option, value in given.items() if value is not None]
    if wrong:
        raise UsageError(
            f"{' and '.join(wrong)} cannot be asked of a language model: its forms are quantized, "
            "not searched for or taught. Leave it out; `deployopt finetune` trains a model before "
            "it is built."
        )
    require_built_apart(request)
