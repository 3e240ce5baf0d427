"""The commands that answer before anything is built: what fits, which model, trained how."""

from pathlib import Path
from typing import Annotated, Any

import typer

from deployopt import api
from deployopt.cli.app import BudgetOption, JsonOption, StoreOption, TargetOption, app
from deployopt.cli.output import emit
from deployopt.core.artifact import Precision
from deployopt.core.budget import parse_budget_option
from deployopt.core.counts import parse_count
from deployopt.core.errors import UsageError
from deployopt.core.memory import Method, Optimizer, Sharding
from deployopt.core.project import read_project
from deployopt.core.request import ByHand

_ASKED = tuple(precision for precision in Precision if precision is not Precision.MIXED)
_PANEL = "A model without a config"


def _size(option: str, text: str) -> Any:  # noqa: ANN401 -- what typer.Option is declared as
    return typer.Option(option, metavar="COUNT", help=text, rich_help_panel=_PANEL)


@app.command()
def fit(  # noqa: PLR0913 -- one parameter an option
    model: Annotated[
        str | None,
        typer.Argument(help="An alias, hub:ORG/NAME[@REV], a folder, an .onnx or .gguf file."),
    ] = None,
    *,
    target: TargetOption = None,
    training: Annotated[
        bool, typer.Option("--training", help="Fine-tuning, rather than inference.")
    ] = False,
    precision: Annotated[
        list[Precision] | None,
        typer.Option(metavar="NAME", help=f"Only this: {', '.join(_ASKED)}. Repeatable."),
    ] = None,
    batch: Annotated[int, typer.Option(metavar="NUMBER", help="Requests or examples at once.")] = 1,
    context: Annotated[
        int | None,
        typer.Option(metavar="TOKENS", help="The prompt and the answer; by default 2048 or less."),
    ] = None,
    method: Annotated[
        list[Method] | None,
        typer.Option(metavar="NAME", help=f"Only this: {', '.join(Method)}. Repeatable."),
    ] = None,
    optimizer: Annotated[
        Optimizer, typer.Option(metavar="NAME", help=f"One of {', '.join(Optimizer)}.")
    ] = Optimizer.ADAMW,
    checkpointing: Annotated[
        bool | None, typer.Option(help="Gradient checkpointing; by default where texts are made.")
    ] = None,
    sharding: Annotated[
        Sharding | None, typer.Option(metavar="NAME", help=f"One of {', '.join(Sharding)}.")
    ] = None,
    params: Annotated[str | None, _size("--params", "Its parameters, e.g. 7B.")] = None,
    layers: Annotated[str | None, _size("--layers", "Its layers.")] = None,
    hidden: Annotated[str | None, _size("--hidden", "Its hidden size.")] = None,
    heads: Annotated[str | None, _size("--heads", "Its attention heads.")] = None,
    kv_heads: Annotated[str | None, _size("--kv-heads", "Its key and value heads.")] = None,
    ffn: Annotated[str | None, _size("--ffn", "Its feed-forward width.")] = None,
    vocabulary: Annotated[str | None, _size("--vocabulary", "Its vocabulary.")] = None,
    encoder: Annotated[
        bool, typer.Option("--encoder", help="It reads and does not write.", rich_help_panel=_PANEL)
    ] = False,
    lock: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Pins what the hub gave; drift is refused.")
    ] = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> int:
    """Will it fit: memory by precision, for inference or training."""
    sizes = {
        "layers": layers, "hidden": hidden, "heads": heads, "kv_heads": kv_heads, "ffn": ffn,
        "vocabulary": vocabulary,
    }  # fmt: skip
    project = read_project(Path.cwd())
    by_hand = _by_hand(params, sizes, encoder=encoder)
    result = api.fit(
        model=model or (None if by_hand else project.model),
        target=_target(target or project.target),
        by_hand=by_hand,
        training=training,
        precisions=precision or (),
        batch=batch,
        context=context,
        methods=method or (),
        optimizer=optimizer,
        checkpointing=checkpointing,
        sharding=sharding,
        lock=lock,
        store=store,
    )
    emit(result, json=json)
    return result.exit_code


@app.command()
def recommend(  # noqa: PLR0913 -- one parameter an option
    *,
    task: Annotated[
        str, typer.Option(metavar="NAME", help="E.g. sentiment, detection, text-to-image.")
    ],
    target: TargetOption = None,
    examples: Annotated[
        str | None,
        typer.Option(metavar="COUNT", help="Labelled examples for fine-tuning, e.g. 8000 or 2M."),
    ] = None,
    realtime: Annotated[
        bool, typer.Option("--realtime", help="A person or a camera waits for the answer.")
    ] = False,
    budget: BudgetOption = None,
    length: Annotated[
        int | None, typer.Option(metavar="TOKENS", help="Of a request; by default the task's.")
    ] = None,
    requests_per_day: Annotated[
        str | None, typer.Option(metavar="COUNT", help="To compare prices at, e.g. 100K.")
    ] = None,
    commercial: Annotated[
        bool, typer.Option("--commercial", help="Leave out licences that forbid commercial use.")
    ] = False,
    rates: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Prices in place of the shipped ones.")
    ] = None,
    json: JsonOption = False,
) -> int:
    """Which model, made small how, trained how, at what price."""
    project = read_project(Path.cwd())
    result = api.recommend(
        task=task,
        target=_target(target or project.target),
        examples=None if examples is None else parse_count(examples, "--examples"),
        realtime=realtime,
        budgets=tuple(parse_budget_option(option) for option in budget or []),
        length=length,
        requests_per_day=(
            None
            if requests_per_day is None
            else parse_count(requests_per_day, "--requests-per-day")
        ),
        commercial=commercial,
        prices=rates,
    )
    emit(result, json=json)
    return result.exit_code


def _target(name: str | None) -> str:
    if not name:
        raise UsageError("No target was given. Add --target NAME; `deployopt targets` lists them.")
    return name


def _by_hand(params: str | None, sizes: dict[str, str | None], *, encoder: bool) -> ByHand | None:
    given = {name: text for name, text in sizes.items() if text is not None}
    if params is None:
        if given or encoder:
            option = next(iter(given), "encoder").replace("_", "-")
            raise UsageError(f"--{option} describes a model by hand. Give --params as well.")
        return None
    counts = {
        name: parse_count(text, f"--{name.replace('_', '-')}") for name, text in given.items()
    }
    return ByHand(parameters=parse_count(params, "--params"), encoder=encoder, **counts)
