"""Where results go: one JSON object on stdout when asked, people's text on stderr."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from deployopt.cli.ci_options import Files
from deployopt.cli.places import budget_places
from deployopt.cli.stopping import Heeding
from deployopt.core.codec import encode_pretty
from deployopt.core.distill_result import DistillResult
from deployopt.core.errors import StorageError
from deployopt.core.gating import GateResult
from deployopt.core.matrix import MatrixResult
from deployopt.core.result import (
    BuildResult,
    CompareResult,
    FitResult,
    PlanResult,
    RecommendResult,
    VerifyResult,
)
from deployopt.core.step_graph import StepGraphResult
from deployopt.core.training_result import FinetuneResult
from deployopt.core.watching import SILENT, Watcher

if TYPE_CHECKING:
    from deployopt.reports.ci_record import CiSummary

Planned = (
    PlanResult | StepGraphResult | FitResult | RecommendResult | FinetuneResult | DistillResult
)
"""What is not judged by a gate: there is nothing to summarise for a pull request."""
Judged = BuildResult | VerifyResult | CompareResult | GateResult | MatrixResult
"""What a gate judged, and a CI service is told of."""
NO_FILES: Final = Files()
SUMMARY: Final = "GITHUB_STEP_SUMMARY"
"""GitHub names a file here that the job's page shows."""
OUTPUT: Final = "GITHUB_OUTPUT"
"""And here one that other steps read `name<<MARK` blocks from."""


@contextmanager
def shown_progress(*, quiet: bool) -> Iterator[Watcher]:
    """Progress bars on stderr, or silence."""
    if quiet:
        yield Heeding(SILENT)
        return
    from deployopt.reports.progress import TerminalProgress

    with TerminalProgress() as progress:
        yield Heeding(progress)


def emit(
    result: Judged | Planned,
    *,
    json: bool,
    files: Files = NO_FILES,
) -> None:
    """Print the result, write the files that were asked for, and tell the CI service.

    A person's text comes first: a file that cannot be written must not hide the verdict.

    Raises:
        StorageError: a file cannot be written.
    """
    _print_person(result)
    if not isinstance(result, Planned):
        summary = _summary_of(result)
        _write_files(result, summary, files)
        if files.for_github:
            _tell_github(result, summary, with_commands=not json)
    if json:
        sys.stdout.write(encode_pretty(result).decode())


def _print_person(result: Judged | Planned) -> None:
    if isinstance(result, Planned):
        _print_planned(result)
    elif isinstance(result, GateResult):
        from deployopt.reports.gating import print_gate

        print_gate(result)
    elif isinstance(result, MatrixResult):
        from deployopt.reports.matrix import print_matrix

        print_matrix(result)
    elif isinstance(result, CompareResult):
        from deployopt.reports.comparison import print_compare

        print_compare(result)
    else:
        from deployopt.reports import terminal

        if isinstance(result, BuildResult):
            terminal.print_build(result)
        else:
            terminal.print_verify(result)


def _print_planned(result: Planned) -> None:
    if isinstance(result, FitResult):
        from deployopt.reports.fit import print_fit

        print_fit(result)
    elif isinstance(result, RecommendResult):
        from deployopt.reports.recommendation import print_recommendation

        print_recommendation(result)
    elif isinstance(result, DistillResult):
        from deployopt.reports.distilling import print_distill

        print_distill(result)
    elif isinstance(result, StepGraphResult):
        from deployopt.reports.step_graph import print_step_graph

        print_step_graph(result)
    elif isinstance(result, FinetuneResult):
        from deployopt.reports.training import print_finetune

        print_finetune(result)
    else:
        from deployopt.reports.terminal import print_plan

        print_plan(result)


def _summary_of(result: Judged) -> "CiSummary":
    from deployopt.reports.ci_summary import build_summary, compare_summary, verify_summary
    from deployopt.reports.gating import gate_summary

    if isinstance(result, MatrixResult):
        from deployopt.reports.matrix_ci import matrix_summary

        return matrix_summary(result)
    if isinstance(result, BuildResult):
        return build_summary(result)
    if isinstance(result, VerifyResult):
        return verify_summary(result)
    return compare_summary(result) if isinstance(result, CompareResult) else gate_summary(result)


def _markdown_of(result: Judged) -> str:
    from deployopt.reports.comparison_markdown import compare_markdown
    from deployopt.reports.gating import gate_markdown
    from deployopt.reports.markdown import build_markdown, verify_markdown

    if isinstance(result, MatrixResult):
        from deployopt.reports.matrix_markdown import matrix_markdown

        return matrix_markdown(result)
    if isinstance(result, BuildResult):
        return build_markdown(result)
    if isinstance(result, VerifyResult):
        return verify_markdown(result)
    return compare_markdown(result) if isinstance(result, CompareResult) else gate_markdown(result)


def _write_files(result: Judged, summary: "CiSummary", files: Files) -> None:
    from deployopt.reports.code_quality import code_quality
    from deployopt.reports.junit import summary_junit
    from deployopt.reports.matrix_ci import matrix_metrics
    from deployopt.reports.openmetrics import openmetrics
    from deployopt.store.writing import atomic_write_bytes

    if files.markdown is not None:
        atomic_write_bytes(files.markdown, _markdown_of(result).encode())
    if files.junit is not None:
        atomic_write_bytes(files.junit, summary_junit(summary))
    if files.metrics is not None:
        metrics = (
            matrix_metrics(result) if isinstance(result, MatrixResult) else openmetrics(summary)
        )
        atomic_write_bytes(files.metrics, metrics)
    if files.code_quality is not None:
        atomic_write_bytes(files.code_quality, code_quality(summary, budget_places(Path.cwd())))


def _tell_github(result: Judged, summary: "CiSummary", *, with_commands: bool) -> None:
    """Annotations on stdout, and the files that the runner names.

    They are extras: where one cannot be written that is a warning, and the verdict stands.
    """
    from deployopt.reports.github import annotations, clipped_summary, step_outputs
    from deployopt.reports.terminal import print_warning
    from deployopt.store.writing import append_to_regular

    for name, data in (
        (SUMMARY, clipped_summary(_markdown_of(result))),
        (OUTPUT, step_outputs(summary).encode("utf-8", "replace")),
    ):
        path = os.environ.get(name)
        if not path:
            continue
        try:
            append_to_regular(Path(path), data)
        except StorageError as error:
            print_warning(f"{name} was not written: {error}")
    if with_commands:
        lines = annotations(summary, budget_places(Path.cwd()))
        sys.stdout.write("".join(f"{line}\n" for line in lines))
