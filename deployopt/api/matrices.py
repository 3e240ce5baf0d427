"""The call that builds many models for many targets."""

import os
from pathlib import Path

from deployopt.core.matrix import NOBODY, MatrixResult, MatrixWatcher


def matrix(
    file: str | Path,
    *,
    output: str | Path | None = None,
    store: str | Path | None = None,
    executor: str = "processes",
    jobs: int | None = None,
    watcher: MatrixWatcher = NOBODY,
) -> MatrixResult:
    """Build every model for every target and budget; what an earlier call finished is left alone.

    Args:
        file: a TOML file of models, targets and budgets.
        output: the folder of bundles and reports; by default the file's, else `matrix` beside it.
        store: the cache's folder; by default the user's cache.
        executor: `processes` builds each cell in a process of its own, several at a time; `inline`
            builds one after another in this one.
        jobs: cells at a time; by default as many as there are cores. Memory may allow fewer.
        watcher: told of what runs.

    Returns:
        A result for each cell; `.exit_code` is that of the worst.

    Raises:
        UsageError: the file or a name in it is wrong, or the folder holds something else.
        IntegrityError: the log of an earlier call was changed.
        StorageError: the folder cannot be written.
    """
    from deployopt.pipeline.matrix.run import MatrixRequest, run_matrix

    request = MatrixRequest(
        file=Path(file),
        output=None if output is None else Path(output),
        store=None if store is None else Path(store),
        executor=executor,
        jobs=len(os.sched_getaffinity(0)) if jobs is None else jobs,
    )
    return run_matrix(request, watcher)
