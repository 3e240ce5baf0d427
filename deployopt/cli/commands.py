"""The commands that build, check and answer; every body parses, calls the API and prints."""

from pathlib import Path
from typing import Annotated

import typer

from deployopt import api
from deployopt.cli.app import (
    AcceptOption,
    BudgetOption,
    BundleArgument,
    ColumnOption,
    DataOption,
    DeviceOption,
    JsonOption,
    KeyOption,
    LabelsOption,
    ModelOption,
    ProxyOption,
    ShareOption,
    StoreOption,
    TargetsOption,
    app,
    asked_budgets,
    asked_each,
)
from deployopt.cli.chatting import MaxTokensOption, SeedOption, TemperatureOption
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
from deployopt.cli.drawing import (
    Canvas,
    GuidanceOption,
    NegativeOption,
    OutputOption,
    StepsOption,
    draw_and_write,
    refuse_canvas,
    require_plain,
)
from deployopt.cli.each import require_each, shown_cells
from deployopt.cli.output import emit, shown_progress
from deployopt.core.artifact import Precision
from deployopt.core.durations import read_duration
from deployopt.core.generation import Sampling
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


@app.command()
def verify(  # noqa: PLR0913 -- one parameter an option
    bundle: BundleArgument,
    *,
    device: DeviceOption = None,
    proxy: ProxyOption = False,
    accept_predicted: AcceptOption = False,
    key: KeyOption = None,
    allow_rollback: Annotated[
        bool,
        typer.Option(
            "--allow-rollback",
            help="Take an older release than the last accepted; it becomes the last.",
        ),
    ] = False,
    store: StoreOption = None,
    json: JsonOption = False,
    markdown: MarkdownOption = None,
    junit: JunitOption = None,
    metrics: MetricsOption = None,
    code_quality: CodeQualityOption = None,
    ci: CiOption = Ci.AUTO,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")] = False,
) -> int:
    """On the device: check digests and signature, measure, judge."""
    with shown_progress(quiet=quiet) as watcher:
        result = api.verify(
            bundle,
            device=device,
            proxy=proxy,
            accept_predicted=accept_predicted,
            key=key,
            allow_rollback=allow_rollback,
            store=store,
            watcher=watcher,
        )
    files = Files(markdown=markdown, junit=junit, metrics=metrics, code_quality=code_quality, ci=ci)
    emit(result, json=json, files=files)
    return result.exit_code


@app.command()
def run(  # noqa: PLR0913 -- one parameter an option
    bundle: BundleArgument,
    inputs: Annotated[list[str] | None, typer.Argument(help="Texts, or image files.")] = None,
    *,
    input_file: Annotated[
        Path | None,
        typer.Option(
            "--input",
            "-i",
            metavar="FILE",
            help="A file of inputs: a text a line, .npy, .npz, or an image.",
        ),
    ] = None,
    image: Annotated[
        list[Path] | None,
        typer.Option("--image", metavar="FILE", help="An image, as an argument. Repeatable."),
    ] = None,
    text: Annotated[
        list[str] | None, typer.Option("--text", metavar="TEXT", help="As an argument. Repeatable.")
    ] = None,
    temperature: TemperatureOption = None,
    seed: SeedOption = None,
    max_tokens: MaxTokensOption = None,
    output: OutputOption = None,
    negative: NegativeOption = "",
    steps: StepsOption = None,
    guidance: GuidanceOption = None,
    key: KeyOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> int:
    """Predict with a bundle; a language model answers each text, one that draws writes a PNG."""
    from deployopt.cli.running import predict_and_print

    sampling = Sampling(temperature=temperature, seed=seed, max_tokens=max_tokens)
    given = [*(inputs or []), *(text or [])]
    predictor = api.Bundle.open(bundle, key=key, store=store)
    canvas = Canvas(output=output, negative=negative, steps=steps, guidance=guidance)
    if predictor.interface.draws:
        require_plain(input_file, image)
        return draw_and_write(predictor, given, canvas, sampling, json=json)
    refuse_canvas(canvas)
    return predict_and_print(
        predictor, given, input_file, images=image or (), sampling=sampling, json=json
    )
