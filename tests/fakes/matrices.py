"""A matrix with a cell of each kind."""

from pathlib import Path

from deployopt.core.errors import StepError
from deployopt.core.evidence import Evidence
from deployopt.core.figure import Figure
from deployopt.core.matrix import MatrixResult, Word, failed
from deployopt.core.verdict import Check, Outcome, Verdict
from tests.fakes.cells import cell, result_of

FIGURES = {
    "latency_p95": Figure(value=0.0142, upper=0.0151, evidence=Evidence.TARGET),
    "accuracy_drop": Figure(value=0.004, upper=0.0091, evidence=Evidence.PROXY),
    "artifact_size": Figure(value=2**20, evidence=Evidence.EXACT),
}


def verdict(outcome: Outcome, reason: str) -> Verdict:
    """Of one check."""
    check = Check(
        metric="latency_p95", limit=0.02, outcome=outcome, evidence=Evidence.TARGET, reason=reason
    )
    return Verdict(target="rpi4", artifact="0" * 64, outcome=outcome, provisional=False,
                   checks=(check,))  # fmt: skip


def matrix_of(folder: Path) -> MatrixResult:
    """Accepted, rejected, failed."""
    requests = [cell(name=name, store=folder / "store") for name in "abc"]
    cells = (
        result_of(requests[0], bundle="a-rpi4", bundle_digest="0" * 64, figures=FIGURES,
                  verdict=verdict(Outcome.ACCEPTED, "well"), seconds=12.0, steps_made=2),
        result_of(requests[1], Word.REJECTED, exit_code=1, page="b-rpi4.rejected.html",
                  verdict=verdict(Outcome.REJECTED, "too slow"), seconds=3.0, steps_reused=2),
        failed(requests[2], StepError("The step failed."), seconds=1.0),
    )  # fmt: skip
    return MatrixResult(
        file="m.toml",
        output=str(folder / "out"),
        page=str(folder / "out" / "index.html"),
        executor="processes",
        jobs=2,
        cells=cells,
        total=len(cells),
        steps_made=2,
        steps_reused=2,
        counts={"accepted": 1, "rejected": 1, "failed": 1},
        seconds=16.0,
        exit_code=5,
    )
