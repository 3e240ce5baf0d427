"""The calls that build or plan one model for several targets at once."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from deployopt.api.arguments import Budgets, effort_named, limits_of, target_of
from deployopt.core.errors import UsageError
from deployopt.core.matrix import NOBODY, MatrixResult, MatrixWatcher
from deployopt.core.request import BuildRequest
from deployopt.core.step_graph import StepGraphResult
from deployopt.core.target import Target

Targets = Sequence[str | Path | Target]


def build_each(  # noqa: PLR0913 -- as build
    *,
    model: str | Path,
    targets: Targets,
    budgets: Budgets | None = None,
    data: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    labels: str | Path | None = None,
    questions: str | Path | None = None,
    accept_predicted: bool = False,
    effort: str | None = None,
    train_data: str | Path | None = None,
    unlabelled: str | Path | None = None,
    time_limit_s: float | None = None,
    store: str | Path | None = None,
    seed: int = 0,
    lock: str | Path | None = None,
    unsafe_load_pickle: bool = False,
    runtime: str | None = None,
    share: str | None = None,
    jobs: int | None = None,
    watcher: MatrixWatcher = NOBODY,
) -> MatrixResult:
    """Build one model for several targets; steps that they share are done once.

    Bundles are put into the current folder, as `MODEL-TARGET`, the same that `build` gives for each
    by itself.

    `targets` are names of shipped profiles, TOML files, or Targets; so many `jobs` are built at a
    time, each in a process of its own, by default as many as there are cores (memory may allow
    fewer); `watcher` is told of what runs. All else is as for `build`, and of each target.

    Returns:
        A result for each target; `.exit_code` is that of the worst.

    Raises:
        UsageError: a name or a budget is wrong, or a target is named twice.
        StorageError: the store cannot be written, or the share cannot be reached.
    """
    from deployopt.pipeline.matrix.several import SeveralRequest, build_several

    named = _named(targets)
    asked = BuildRequest(
        model=str(model),
        target=named[0],
        budgets=limits_of(budgets),
        data=None if data is None else str(data),
        columns=dict(columns or {}),
        labels=None if labels is None else Path(labels),
        questions=None if questions is None else str(questions),
        accept_predicted=accept_predicted,
        effort=None if effort is None else effort_named(effort),
        train_data=None if train_data is None else str(train_data),
        unlabelled=None if unlabelled is None else Path(unlabelled),
        time_limit_s=time_limit_s,
        store=None if store is None else Path(store),
        seed=seed,
        lock=None if lock is None else Path(lock),
        unsafe_load_pickle=unsafe_load_pickle,
        runtime=runtime,
        share=share,
    )
    cores = len(os.sched_getaffinity(0))
    request = SeveralRequest(asked=asked, targets=named, jobs=cores if jobs is None else jobs)
    return build_several(request, watcher)


def plan_each(  # noqa: PLR0913 -- every argument is a keyword
    *,
    model: str | Path,
    targets: Targets,
    budgets: Budgets | None = None,
    data: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    labels: str | Path | None = None,
    store: str | Path | None = None,
    share: str | None = None,
) -> StepGraphResult:
    """What `build_each` would do: the steps, who shares them, which the store has.

    Raises:
        DeployoptError: as `build_each`, as far as it comes before any work.
    """
    from deployopt.pipeline.matrix.several import SeveralRequest, plan_several

    named = _named(targets)
    asked = BuildRequest(
        model=str(model),
        target=named[0],
        budgets=limits_of(budgets),
        data=None if data is None else str(data),
        columns=dict(columns or {}),
        labels=None if labels is None else Path(labels),
        store=None if store is None else Path(store),
        share=share,
    )
    return plan_several(SeveralRequest(asked=asked, targets=named, jobs=1))


def _named(targets: Targets) -> tuple[Target, ...]:
    if not targets:
        raise UsageError("No target was given. Name at least one.")
    return tuple(target_of(target) for target in targets)
