"""`recommend`: advice for a task on a target; an answer even where nothing will do."""

from deployopt.core.errors import ExitCode
from deployopt.core.request import RecommendRequest
from deployopt.core.result import RecommendResult
from deployopt.planning.recommending import recommend


def run_recommend(request: RecommendRequest) -> RecommendResult:
    """The advice; exit code 1 where nothing in the catalogue will do."""
    found = recommend(request)
    code = ExitCode.REJECTED if found.choice is None else ExitCode.ACCEPTED
    return RecommendResult(recommendation=found, exit_code=code)
