"""The call that builds many models for many targets."""

from pathlib import Path

from deployopt.core.matrix import NOBODY, MatrixResult, MatrixWatcher
from deployopt.core.step_graph import StepGraphResult


def matrix(  # noqa: PLR0913 -- every argument is a keyword that has a default
    file: str | Path,
    *,
    output: str | Path | None = None,
    store: str | Path | None = None,
    executor: str = "processes",
    jobs: int | None = None,
    ray_address: str | None = None,
    fleet: str | Path | None = None,
    share: str | None = None,
    watcher: MatrixWatcher = NOBODY,
) -> MatrixResult:
    """Build every model for every target and budget; what an earlier call finished is left alone.

    Args:
        file: a TOML file of models, targets and budgets.
        output: the folder of bundles and reports; by default the file's, else `matrix` beside it.
        store: the cache's folder; by default the user's cache.
        executor: `processes` builds each cell in a process of its own, several at a time; `inline`
            builds one after another in this one; `ray` gives them to a Ray cluster.
        jobs: cells at a time; by default as many as there are cores. Memory may allow fewer.
        ray_address: of the cluster, `auto` or `HOST:PORT`; by default Ray is started here, and
            stopped at the end.
        fleet: a TOML file of devices; a cell whose target has some there is measured by one.
        share: where machines exchange what steps made: a folder, or a URL such as
            `s3://BUCKET/PREFIX`. With `ray`, nodes then need no folders in common.
        watcher: told of what runs.

    Returns:
        A result for each cell; `.exit_code` is that of the worst.

    Raises:
        UsageError: the file or a name in it is wrong, or the folder holds something else.
        MissingExtraError: the executor is not installed.
        IntegrityError: the log of an earlier call was changed.
        StorageError: the folder cannot be written, or the share cannot be reached.
        UnreachableError: the cluster was lost and cannot be reached again.
    """
    from deployopt.pipeline.matrix.run import MatrixRequest, run_matrix

    request = MatrixRequest(
        file=Path(file),
        output=None if output is None else Path(output),
        store=None if store is None else Path(store),
        executor=executor,
        jobs=jobs,
        ray_address=ray_address,
        fleet=None if fleet is None else Path(fleet),
        share=share,
    )
    return run_matrix(request, watcher)


def plan_matrix(
    file: str | Path,
    *,
    output: str | Path | None = None,
    store: str | Path | None = None,
    fleet: str | Path | None = None,
    share: str | None = None,
) -> StepGraphResult:
    """What `matrix` would do: the steps, which cells share them, which the store or share has.

    Raises:
        UsageError: the file or a name in it is wrong, or the folder holds something else.
        IntegrityError: the log of an earlier call was changed.
        StorageError: the store cannot be read, or the share cannot be reached.
    """
    from deployopt.pipeline.matrix import dry_run
    from deployopt.pipeline.matrix.run import MatrixRequest

    request = MatrixRequest(
        file=Path(file),
        output=None if output is None else Path(output),
        store=None if store is None else Path(store),
        fleet=None if fleet is None else Path(fleet),
        share=share,
    )
    return dry_run.plan_matrix(request)
