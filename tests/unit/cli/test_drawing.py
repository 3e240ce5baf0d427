"""`run` of a model that draws: options, and a file that is whole or not there."""

from pathlib import Path
from typing import Any

import pytest

from deployopt.cli.drawing import Canvas, draw_and_write, refuse_canvas, require_plain
from deployopt.core.drawing_result import DrawingSettings
from deployopt.core.errors import DeviceError, UsageError
from deployopt.core.generation import Sampling
from deployopt.device.drawing.drawer import Picture, draw_picture
from deployopt.device.drawing.session import open_drawing
from deployopt.device.setup import Setup
from tests.fakes.drawing_graphs import write_graphs, write_words


class Draws:
    """A predictor of the tiny pipeline."""

    def __init__(self, folder: Path) -> None:
        write_words(folder)
        self.folder = folder
        self.asked: list[DrawingSettings] = []
        self.session = open_drawing(
            Setup(artifact="d", model=write_graphs(folder / "model"), threads=1)
        )

    def draw(self, prompt: str, settings: DrawingSettings) -> Picture:
        self.asked.append(settings)
        return draw_picture(self.session, self.folder, prompt, settings)


@pytest.fixture
def predictor(tmp_path: Path) -> Any:
    return Draws(tmp_path)


def test_a_file_is_written_and_told_of(
    predictor: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "new" / "out.PNG"
    canvas = Canvas(output=output, negative="h", steps=4, guidance=2.0)
    assert draw_and_write(predictor, ["b c d e"], canvas, Sampling(seed=3), json=False) == 0
    assert output.read_bytes().startswith(b"\x89PNG")
    assert predictor.asked == [DrawingSettings(negative="h", seed=3, steps=4, guidance=2.0)]
    told = capsys.readouterr().out
    assert "12x8  4 steps, guidance 2, seed 3" in told
    assert "4 tokens, of which the model reads 3" in told
    assert "judged and timed with other steps" in told
    assert [path.name for path in output.parent.iterdir()] == ["out.PNG"]


def test_a_drawing_that_fails_leaves_what_was_there(
    predictor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out.png"
    output.write_bytes(b"before")

    def fails(*_: object) -> Picture:
        raise DeviceError("The model needs more memory than it may take.")

    monkeypatch.setattr(predictor, "draw", fails)
    with pytest.raises(DeviceError):
        draw_and_write(predictor, ["b"], Canvas(output=output), Sampling(), json=False)
    assert output.read_bytes() == b"before"


@pytest.mark.parametrize(
    ("prompts", "canvas", "sampling", "said"),
    [
        ([], Canvas(output=Path("o.png")), Sampling(), "0 prompts were given"),
        (["a", "b"], Canvas(output=Path("o.png")), Sampling(), "2 prompts were given"),
        (["a"], Canvas(), Sampling(), "--output FILE.png"),
        (["a"], Canvas(output=Path("o.jpg")), Sampling(), "written as PNG"),
        (["a"], Canvas(output=Path("o.png")), Sampling(max_tokens=3), "for language models"),
        (["a"], Canvas(output=Path("o.png")), Sampling(temperature=1.0), "for language models"),
    ],
)
def test_what_is_refused(
    predictor: Any, prompts: list[str], canvas: Canvas, sampling: Sampling, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        draw_and_write(predictor, prompts, canvas, sampling, json=False)
    assert not predictor.asked


def test_options_of_drawing_are_for_no_other_model() -> None:
    refuse_canvas(Canvas())
    for canvas in (Canvas(output=Path("o.png")), Canvas(steps=3), Canvas(negative="x")):
        with pytest.raises(UsageError, match="are for models that draw"):
            refuse_canvas(canvas)
    require_plain(None, None)
    for given in ((Path("x"), None), (None, [Path("y")])):
        with pytest.raises(UsageError, match="for other models"):
            require_plain(*given)
