"""`chat`: options become a conversation; how it is shown depends on where it goes."""

from pathlib import Path
from typing import Annotated, Final

import typer

from deployopt import api
from deployopt.cli.app import BundleArgument, JsonOption, KeyOption, StoreOption, app
from deployopt.core.errors import UsageError
from deployopt.core.generation import Sampling

_SYSTEM_MAX: Final = 2**20

TemperatureOption = Annotated[
    float | None,
    typer.Option(metavar="NUMBER", help="0 takes the likeliest token; higher is livelier."),
]
SeedOption = Annotated[
    int | None, typer.Option(metavar="NUMBER", help="The same draws in every run.")
]
MaxTokensOption = Annotated[
    int | None, typer.Option(metavar="NUMBER", help="The most tokens of an answer.")
]
ThreadsOption = Annotated[
    int | None, typer.Option(min=1, metavar="NUMBER", help="By default the target's.")
]


@app.command()
def chat(  # noqa: PLR0913 -- one parameter an option
    bundle: BundleArgument,
    *,
    plain: Annotated[
        bool,
        typer.Option(
            "--plain", help="For pipes: messages from stdin, a line each, answers on stdout."
        ),
    ] = False,
    json: JsonOption = False,
    system: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT", help="What the model is told before all turns; @FILE: a file's text."
        ),
    ] = None,
    transcript: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What was said, as JSON Lines; written on exit too."),
    ] = None,
    temperature: TemperatureOption = None,
    top_k: Annotated[
        int | None, typer.Option(metavar="NUMBER", help="Draw from so many tokens; 0: from all.")
    ] = None,
    top_p: Annotated[
        float | None, typer.Option(metavar="SHARE", help="Draw from the likeliest of this share.")
    ] = None,
    repetition_penalty: Annotated[
        float | None, typer.Option(metavar="NUMBER", help="Above 1 what was said is less likely.")
    ] = None,
    seed: SeedOption = None,
    max_tokens: MaxTokensOption = None,
    context: Annotated[
        int | None,
        typer.Option(metavar="TOKENS", help="Of all turns and the answer; default the bundle's."),
    ] = None,
    threads: ThreadsOption = None,
    key: KeyOption = None,
    store: StoreOption = None,
) -> int:
    """Talk with a language model's bundle."""
    from deployopt.cli.chat_loop import ChatLoop, require_file
    from deployopt.cli.chat_sides import side_for

    sampling = Sampling(
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        repetition_penalty=repetition_penalty,
        seed=seed,
        max_tokens=max_tokens,
    )
    told = None if system is None else read_system(system)
    if transcript is not None:
        require_file(transcript)
    side = side_for(plain=plain, json=json)
    side.opening(bundle)
    predictor = api.Bundle.open(bundle, key=key, store=store)
    with predictor.chat(
        system=told, sampling=sampling, threads=threads, context=context
    ) as conversation:
        side.begin(conversation)
        return ChatLoop(conversation, side, transcript).run()


def read_system(given: str) -> str:
    """The text itself, or that of the file behind an @.

    Raises:
        UsageError: there is no such file, or it is no text.
    """
    if not given.startswith("@"):
        return given
    path = Path(given[1:]).expanduser()
    try:
        with path.open("rb") as file:
            data = file.read(_SYSTEM_MAX + 1)
        if len(data) > _SYSTEM_MAX:
            raise UsageError(f"{path} is larger than {_SYSTEM_MAX // 2**20} MiB.")
        return data.decode("utf-8-sig").strip()
    except OSError as error:
        raise UsageError(f"--system {given}: {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text (byte {error.start}). Convert it.") from error
