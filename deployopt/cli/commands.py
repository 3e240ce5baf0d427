"""The commands that plan and build; every body parses, calls the API and prints."""

from pathlib import Path
from typing import Annotated

import typer

from deployopt import api
from deployopt.cli.app import (
    AcceptOption,
    BudgetOption,
    ColumnOption,
    DataOption,
    DeviceOption,
    JsonOption,
    LabelsOption,
    ModelOption,
    ShareOption,
    StoreOption,
    TargetsOption,
    app,
    asked_budgets,
    asked_each,
)
from deployopt.cli.ci_options import (
    Ci,
    CiOption,
    CodeQualityOption,
    Files,
    JunitOption,
    MarkdownOption,
    MetricsOption,
)
from deployopt.cli.columns import read_columns
from deployopt.cli.each import require_each, shown_cells
from deployopt.cli.output import emit, shown_progress
from deployopt.core.artifact import Precision
from deployopt.core.durations import read_duration
from deployopt.core.project import read_project
from deployopt.core.search import Effort


@app.command()
def build(  # noqa: PLR0913 -- one parameter an option
    *,
    target: TargetsOption = None,
    model: ModelOption = None,
    budget: BudgetOption = None,
    data: DataOption = None,
    column: ColumnOption = None,
    labels: LabelsOption = None,
    questions: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Questions with choices in JSON lines, for a language model's accuracy_drop.",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FOLDER", help="The bundle's folder.")
    ] = None,
    device: DeviceOption = None,
    accept_predicted: AcceptOption = False,
    effort: Annotated[
        Effort | None,
        typer.Option(
            help="How much is tried; quick trains nothing. [default: quick, or default where "
            "there is training data or a time limit]",
            show_default=False,
        ),
    ] = None,
    train_data: Annotated[
        str | None,
        typer.Option(metavar="DATA", help="What smaller shapes learn from, as --data."),
    ] = None,
    unlabelled: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Texts without labels to learn from, one a line."),
    ] = None,
    time_limit: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Of the whole build, such as 40m or 2h."),
    ] = None,
    seed: Annotated[
        int, typer.Option(metavar="NUMBER", help="Decides the splits and the order of requests.")
    ] = 0,
    lock: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Pins what the hub gave; drift is refused.")
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option(metavar="BUNDLE", help="An earlier bundle; a regression against it rejects."),
    ] = None,
    unsafe_load_pickle: Annotated[
        bool,
        typer.Option(
            "--unsafe-load-pickle", help="Read pickled weights too, in a confined process."
        ),
    ] = False,
    runtime: Annotated[
        str | None,
        typer.Option(
            metavar="RUNTIME",
            help="What opens the model on the target: onnxruntime or openvino; for GPUs "
            "tensorrt-rtx, tensorrt, onnxruntime (CUDA) or onnxruntime-tensorrt. [default: what "
            "the target allows]",
            show_default=False,
        ),
    ] = None,
    precision: Annotated[
        Precision | None,
        typer.Option(
            metavar="NAME",
            help="Of a language model, only forms of this precision. [default: all that may fit]",
            show_default=False,
        ),
    ] = None,
    store: StoreOption = None,
    share: ShareOption = None,
    json: JsonOption = False,
    markdown: MarkdownOption = None,
    junit: JunitOption = None,
    metrics: MetricsOption = None,
    code_quality: CodeQualityOption = None,
    ci: CiOption = Ci.AUTO,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")] = False,
) -> int:
    """Plan, build, measure, judge, and publish the best bundle."""
    project = read_project(Path.cwd())
    targets, named = asked_each(project, target, model)
    limit = time_limit or project.time_limit
    limit_s = None if limit is None else read_duration(limit, "--time-limit")
    files = Files(markdown=markdown, junit=junit, metrics=metrics, code_quality=code_quality, ci=ci)
    if len(targets) > 1:
        require_each(
            output=output or project.output,
            device=device,
            baseline=baseline,
            precision=precision,
        )
        with shown_cells(quiet=quiet) as cells:
            built = api.build_each(
                model=named,
                targets=targets,
                budgets=asked_budgets(project, budget),
                data=data or project.data,
                columns=read_columns(column),
                labels=labels,
                questions=questions,
                accept_predicted=accept_predicted,
                effort=effort or project.effort,
                train_data=train_data or project.train_data,
                unlabelled=unlabelled,
                time_limit_s=limit_s,
                store=store,
                seed=seed,
                lock=lock,
                unsafe_load_pickle=unsafe_load_pickle,
                runtime=runtime,
                share=share,
                watcher=cells,
            )
        emit(built, json=json, files=files)
        return built.exit_code
    with shown_progress(quiet=quiet) as watcher:
        result = api.build(
            model=named,
            target=targets[0],
            budgets=asked_budgets(project, budget),
            data=data or project.data,
            columns=read_columns(column),
            labels=() if labels is None else labels,
            questions=questions,
            output=output or (Path(project.output) if project.output else None),
            accept_predicted=accept_predicted,
            effort=effort or project.effort,
            train_data=train_data or project.train_data,
            unlabelled=unlabelled,
            time_limit_s=limit_s,
            store=store,
            seed=seed,
            lock=lock,
            device=device,
            baseline=baseline,
            unsafe_load_pickle=unsafe_load_pickle,
            runtime=runtime,
            precision=precision,
            share=share,
            watcher=watcher,
        )
    emit(result, json=json, files=files)
    return result.exit_code


@app.command()
def plan(  # noqa: PLR0913 -- one parameter an option
    *,
    target: TargetsOption = None,
    model: ModelOption = None,
    budget: BudgetOption = None,
    data: DataOption = None,
    column: ColumnOption = None,
    labels: LabelsOption = None,
    store: StoreOption = None,
    share: ShareOption = None,
    json: JsonOption = False,
) -> int:
    """What would be tried and expected, and what several targets share; builds nothing."""
    project = read_project(Path.cwd())
    targets, named = asked_each(project, target, model)
    if len(targets) > 1:
        graph = api.plan_each(
            model=named,
            targets=targets,
            budgets=asked_budgets(project, budget),
            data=data or project.data,
            columns=read_columns(column),
            labels=labels,
            store=store,
            share=share,
        )
        emit(graph, json=json)
        return graph.exit_code
    result = api.plan(
        model=named,
        target=targets[0],
        budgets=asked_budgets(project, budget),
        data=data or project.data,
        columns=read_columns(column),
        labels=labels,
        store=store,
    )
    emit(result, json=json)
    return result.exit_code
