"""The commands that train: what they make is a model for `build`."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from deployopt import api
from deployopt.cli.app import ColumnOption, JsonOption, StoreOption, TargetOption, app
from deployopt.cli.columns import read_columns
from deployopt.cli.output import emit, shown_progress
from deployopt.core.artifact import Precision
from deployopt.core.durations import read_duration
from deployopt.core.errors import DeployoptError
from deployopt.core.memory import Method, Optimizer

_PANEL = "Training, by default as `recommend` says"


@app.command()
def finetune(  # noqa: PLR0913 -- one parameter an option
    *,
    model: Annotated[
        str,
        typer.Option("--model", "-m", metavar="NAME", help="The base: an alias, hub:, a folder."),
    ],
    data: Annotated[
        str,
        typer.Option(
            "--data",
            "-d",
            metavar="DATA",
            help="CSV, JSONL, Parquet, images, hub:…; of a language model JSONL or .txt.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="The trained model's folder.")
    ],
    eval_data: Annotated[
        str | None,
        typer.Option(metavar="DATA", help="To judge with; by default cut from the data."),
    ] = None,
    column: ColumnOption = None,
    target: TargetOption = None,
    method: Annotated[
        Method | None,
        typer.Option(metavar="NAME", help=f"One of {', '.join(Method)}.", rich_help_panel=_PANEL),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(metavar="NUMBER", help="At most.", rich_help_panel=_PANEL)
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(metavar="NUMBER", help="Its peak.", rich_help_panel=_PANEL)
    ] = None,
    warmup: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="Of the steps, until the peak.", rich_help_panel=_PANEL),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(metavar="NUMBER", help="Examples a device at once.", rich_help_panel=_PANEL),
    ] = None,
    accumulation: Annotated[
        int | None,
        typer.Option(metavar="NUMBER", help="Batches an update.", rich_help_panel=_PANEL),
    ] = None,
    length: Annotated[
        int | None,
        typer.Option(metavar="TOKENS", help="Of a text at most.", rich_help_panel=_PANEL),
    ] = None,
    rank: Annotated[
        int | None, typer.Option(metavar="NUMBER", help="Of LoRA.", rich_help_panel=_PANEL)
    ] = None,
    trained_share: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="Of the layers, with freeze.", rich_help_panel=_PANEL),
    ] = None,
    unfreeze_every: Annotated[
        int,
        typer.Option(
            metavar="EPOCHS",
            help="In stages: the head, the upper layers, all. 0: all at once.",
            rich_help_panel=_PANEL,
        ),
    ] = 0,
    optimizer: Annotated[
        Optimizer, typer.Option(metavar="NAME", help=f"One of {', '.join(Optimizer)}.")
    ] = Optimizer.ADAMW,
    precision: Annotated[
        Precision | None,
        typer.Option(metavar="NAME", help="fp32, or bf16 over fp32 weights."),
    ] = None,
    patience: Annotated[
        int, typer.Option(metavar="NUMBER", help="Epochs without a gain; 0: never stops early.")
    ] = 2,
    ema: Annotated[bool, typer.Option("--ema", help="Average the weights over the steps.")] = False,
    class_weights: Annotated[
        bool, typer.Option("--class-weights", help="Rare classes count as much.")
    ] = False,
    augment: Annotated[
        bool, typer.Option("--augment", help="Drop and swap words; flip and crop images.")
    ] = False,
    checkpointing: Annotated[
        bool | None, typer.Option(help="Less memory, a third more time.")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="NUMBER", help="Same seed, same weights.")] = 0,
    time_limit: Annotated[
        str | None, typer.Option(metavar="TIME", help="E.g. 40m; the best so far is kept.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where the same run was killed.")
    ] = False,
    store: StoreOption = None,
    json: JsonOption = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")] = False,
) -> int:
    """Train a classifier, or tune a language model with dialogues; also under torchrun."""
    with _one_voice(resume=resume) as leads, shown_progress(quiet=quiet or not leads) as watcher:
        result = api.finetune(
            model=model,
            data=data,
            output=output,
            evaluation_data=eval_data,
            columns=read_columns(column),
            target=target,
            method=method,
            optimizer=optimizer,
            precision=precision,
            epochs=epochs,
            learning_rate=learning_rate,
            warmup_share=warmup,
            batch=batch,
            accumulation=accumulation,
            length=length,
            rank=rank,
            trained_share=trained_share,
            unfreeze_every=unfreeze_every,
            patience=patience,
            averaged=ema,
            class_weights=class_weights,
            augment=augment,
            checkpointing=checkpointing,
            seed=seed,
            time_limit_s=None if time_limit is None else read_duration(time_limit, "--time-limit"),
            resume=resume,
            store=store,
            watcher=watcher,
        )
    if leads:
        emit(result, json=json)
    return result.exit_code


@contextlib.contextmanager
def _one_voice(*, resume: bool) -> Iterator[bool]:
    """Of several processes that torchrun started, the first one speaks, of errors too."""
    leads = int(os.environ.get("RANK", "0") or 0) == 0
    try:
        yield leads
    except DeployoptError as error:
        if leads:
            raise
        raise typer.Exit(error.exit_code) from error
    except KeyboardInterrupt:
        if leads and not resume:
            sys.stderr.write("\nAdd --resume to go on from the last epoch that was finished.")
        raise
