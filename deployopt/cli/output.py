"""Where results go: one JSON object on stdout when asked, people's text on stderr."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from deployopt.core.codec import encode_pretty
from deployopt.core.distill_result import DistillResult
from deployopt.core.errors import UsageError
from deployopt.core.result import (
    BuildResult,
    FitResult,
    PlanResult,
    RecommendResult,
    VerifyResult,
)
from deployopt.core.training_result import FinetuneResult
from deployopt.core.watching import SILENT, Watcher

Planned = PlanResult | FitResult | RecommendResult | FinetuneResult | DistillResult
"""What is not judged by a gate: there is nothing to summarise for a pull request."""
SUMMARY: Final = "GITHUB_STEP_SUMMARY"
"""A CI service names a file here that its page shows."""


@contextmanager
def shown_progress(*, quiet: bool) -> Iterator[Watcher]:
    """Progress bars on stderr, or silence."""
    if quiet:
        yield SILENT
        return
    from deployopt.report.progress import TerminalProgress

    with TerminalProgress() as progress:
        yield progress


def emit(
    result: BuildResult | VerifyResult | Planned,
    *,
    json: bool,
    markdown: Path | None = None,
    junit: Path | None = None,
) -> None:
    """Print the result, and write the files that were asked for.

    Raises:
        StorageError: a file cannot be written.
    """
    if not isinstance(result, Planned):
        _write_files(result, markdown, junit)
    _print_person(result)
    if json:
        sys.stdout.write(encode_pretty(result).decode())


def _print_person(result: BuildResult | VerifyResult | Planned) -> None:
    if isinstance(result, FitResult):
        from deployopt.report.fit import print_fit

        print_fit(result)
    elif isinstance(result, RecommendResult):
        from deployopt.report.recommendation import print_recommendation

        print_recommendation(result)
    elif isinstance(result, DistillResult):
        from deployopt.report.distilling import print_distill

        print_distill(result)
    elif isinstance(result, FinetuneResult):
        from deployopt.report.training import print_finetune

        print_finetune(result)
    else:
        _print_built(result)


def _print_built(result: BuildResult | VerifyResult | PlanResult) -> None:
    from deployopt.report import terminal

    if isinstance(result, BuildResult):
        terminal.print_build(result)
    elif isinstance(result, VerifyResult):
        terminal.print_verify(result)
    else:
        terminal.print_plan(result)


def _write_files(
    result: BuildResult | VerifyResult, markdown: Path | None, junit: Path | None
) -> None:
    from deployopt.store.writing import append_bytes, atomic_write_bytes

    summary = os.environ.get(SUMMARY)
    if markdown is not None or summary:
        from deployopt.report.markdown import build_markdown, verify_markdown

        shown = (
            build_markdown(result) if isinstance(result, BuildResult) else verify_markdown(result)
        )
        text = shown.encode()
        if markdown is not None:
            atomic_write_bytes(markdown, text)
        if summary:
            append_bytes(Path(summary), text)
    if junit is not None:
        _write_junit(result, junit)


def _write_junit(result: BuildResult | VerifyResult, path: Path) -> None:
    from deployopt.report.junit import verdict_junit
    from deployopt.store.writing import atomic_write_bytes

    if result.verdict is None:
        raise UsageError(f"There is no verdict to write to {path}: nothing was built.")
    seconds = sum(stage.seconds for stage in result.stages)
    atomic_write_bytes(path, verdict_junit(result.verdict, seconds=seconds))
