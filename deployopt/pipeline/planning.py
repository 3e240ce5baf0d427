"""`plan`: what `build` would try and expect, from the same preparation; nothing is built."""

from deployopt.core.errors import ExitCode
from deployopt.core.request import BuildRequest
from deployopt.core.result import PlanResult
from deployopt.core.watching import SILENT
from deployopt.pipeline.preparing import prepare
from deployopt.store.faults import storage_errors
from deployopt.store.store import Store


def run_plan(request: BuildRequest) -> PlanResult:
    """The plan; raises as `build` does, as far as it comes before any work."""
    with Store(request.store) as store, storage_errors("planning", store.layout.root):
        prepared = prepare(request, store, SILENT)
    return PlanResult(plan=prepared.plan, warnings=prepared.warnings, exit_code=ExitCode.ACCEPTED)
