"""The commands that check a bundle and ask it; every body parses, calls the API and prints."""

from pathlib import Path
from typing import Annotated

import typer

from deployopt import api
from deployopt.cli.app import (
    AcceptOption,
    BundleArgument,
    DeviceOption,
    JsonOption,
    KeyOption,
    ProxyOption,
    StoreOption,
    app,
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
from deployopt.cli.output import emit, shown_progress
from deployopt.core.counts import parse_numbers
from deployopt.core.generation import Sampling


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
    batches: Annotated[
        str | None,
        typer.Option(
            "--batches",
            metavar="SIZES",
            help="Measure throughput with so many examples at a time as well, e.g. 1,2,4,8,16.",
        ),
    ] = None,
    copies: Annotated[
        int | None,
        typer.Option(
            "--copies",
            metavar="NUMBER",
            help="Measure so many copies at once as well, each on its own card or cores.",
        ),
    ] = None,
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
            batches=() if batches is None else parse_numbers(batches, "--batches"),
            copies=copies,
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
