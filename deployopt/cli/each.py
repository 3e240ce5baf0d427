"""What several targets of one call share: their progress, and what only one target can have."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deployopt.core.artifact import Precision
from deployopt.core.errors import UsageError
from deployopt.core.matrix import NOBODY, MatrixWatcher


@contextmanager
def shown_cells(*, quiet: bool) -> Iterator[MatrixWatcher]:
    """Progress on stderr, or silence."""
    if quiet:
        yield NOBODY
        return
    from deployopt.reports.matrix_progress import MatrixProgress

    with MatrixProgress() as progress:
        yield progress


def require_each(
    *,
    output: Path | str | None,
    device: str | None,
    baseline: Path | None,
    precision: Precision | None = None,
) -> None:
    """Refuse what names one bundle or one machine where there are several targets.

    Raises:
        UsageError: says what to do instead.
    """
    if output is not None:
        raise UsageError(
            f"The output {output} is the folder of one bundle, and several targets were given: "
            "each gets a bundle of its own, MODEL-TARGET in the current folder. Leave it out, or "
            "name one target."
        )
    if device is not None:
        raise UsageError(
            f"--device {device} is one machine, and several targets were given. Name its target "
            "alone, or give each its device in a file: `deployopt matrix --help`."
        )
    if baseline is not None:
        raise UsageError(
            f"--baseline {baseline} is one target's bundle, and several targets were given. Build "
            "that target by itself."
        )
    if precision is not None:
        raise UsageError(
            f"--precision {precision} is what one target is to have, and several were given. Build "
            "each by itself."
        )
