"""`run` of a model that draws: a prompt becomes a PNG file, whole or not at all."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import typer

from deployopt.core.codec import encode_pretty
from deployopt.core.drawing_result import DrawingSettings, DrawResult
from deployopt.core.errors import ExitCode, UsageError
from deployopt.core.flowing_text import escaped_json
from deployopt.core.generation import Sampling

if TYPE_CHECKING:
    from deployopt.device.run import Predictor

_SUFFIX: Final = ".png"
OutputOption = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="The PNG file of a model that draws."),
]
NegativeOption = Annotated[
    str, typer.Option(metavar="TEXT", help="What an image is to be led away from.")
]
StepsOption = Annotated[
    int | None, typer.Option(metavar="NUMBER", help="Of a drawing; by default as it was judged.")
]
GuidanceOption = Annotated[
    float | None,
    typer.Option(metavar="NUMBER", help="How much a prompt leads; up to 1 not beyond its own."),
]


class Canvas(msgspec.Struct, frozen=True, kw_only=True):
    """Where an image goes, and how it is drawn but for the seed."""

    output: Path | None = None
    negative: str = ""
    steps: int | None = None
    guidance: float | None = None

    @property
    def says_something(self) -> bool:
        """Whether anything was given that only a model that draws takes."""
        return self != Canvas()


def refuse_canvas(canvas: Canvas) -> None:
    """Raise UsageError where the bundle draws nothing, and options of drawing were given."""
    if canvas.says_something:
        raise UsageError(
            "--output, --negative, --steps and --guidance are for models that draw, and this "
            "bundle is of another kind. Leave them out."
        )


def require_plain(file: Path | None, images: Sequence[Path] | None) -> None:
    """Raise UsageError where inputs of other models were given."""
    if file is not None or images:
        raise UsageError(
            "--input and --image are for other models; this bundle draws. Give the prompt behind "
            "the bundle."
        )


def draw_and_write(
    predictor: "Predictor",
    prompts: Sequence[str],
    canvas: Canvas,
    sampling: Sampling,
    *,
    json: bool,
) -> int:
    """Draw the prompt and write the file.

    Raises:
        UsageError: not one prompt, no place for the image, or options of other models.
        StorageError: the file could not be written; what was there is as it was.
    """
    from deployopt.device.drawing.png import png_bytes
    from deployopt.store.writing import atomic_write_bytes

    output = _checked(prompts, canvas, sampling)
    settings = DrawingSettings(
        negative=canvas.negative,
        seed=sampling.seed or 0,
        steps=canvas.steps,
        guidance=canvas.guidance,
    )
    picture = predictor.draw(prompts[0], settings)
    atomic_write_bytes(output, png_bytes(picture.pixels))
    height, width, _ = picture.pixels.shape
    result = DrawResult(
        output=str(output),
        width=width,
        height=height,
        prompt=prompts[0],
        negative=settings.negative,
        seed=settings.seed,
        steps=picture.drawn.steps,
        guidance=picture.drawn.guidance,
        seconds=picture.seconds,
        parts_s=picture.parts_s,
        tokens=picture.tokens,
        tokens_read=picture.tokens_read,
        judged=picture.judged,
    )
    if json:
        sys.stdout.write(escaped_json(encode_pretty(result)).decode())
    else:
        sys.stdout.write(_words(result))
    return ExitCode.ACCEPTED


def _checked(prompts: Sequence[str], canvas: Canvas, sampling: Sampling) -> Path:
    if len(prompts) != 1:
        raise UsageError(
            f"{len(prompts)} prompts were given, and one image is drawn at a time. Give one, such "
            'as: run BUNDLE "a lighthouse at dusk" --output out.png.'
        )
    if sampling.temperature is not None or sampling.max_tokens is not None:
        raise UsageError(
            "--temperature and --max-tokens are for language models, and this bundle draws. Leave "
            "them out."
        )
    if canvas.output is None:
        raise UsageError("Say where the image goes: --output FILE.png.")
    if canvas.output.suffix.casefold() != _SUFFIX or canvas.output.is_dir():
        raise UsageError(f"{canvas.output}: images are written as PNG. Name a file that ends so.")
    return canvas.output


def _words(result: DrawResult) -> str:
    how = f"{result.steps} steps, guidance {result.guidance:g}, seed {result.seed}"
    lines = [
        f"{result.output}  {result.width}x{result.height}  {how}  {result.seconds:.2f} s",
    ]
    if result.tokens > result.tokens_read:
        lines.append(
            f"The prompt has {result.tokens} tokens, of which the model reads {result.tokens_read}."
        )
    if not result.judged:
        lines.append("The bundle was judged and timed with other steps or another guidance.")
    return "".join(f"{line}\n" for line in lines)
