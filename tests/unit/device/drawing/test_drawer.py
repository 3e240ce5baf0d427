"""One image of a prompt."""

from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from deployopt.core.drawing_result import DrawingSettings
from deployopt.core.errors import DeviceError, UsageError
from deployopt.device.drawing.drawer import draw_picture
from deployopt.device.drawing.loop import Drawn, Floats
from deployopt.device.drawing.session import DrawingSession, open_drawing
from deployopt.device.setup import Setup
from tests.fakes.drawing_graphs import write_graphs, write_words


@pytest.fixture
def session(tmp_path: Path) -> DrawingSession:
    write_words(tmp_path)
    return open_drawing(Setup(artifact="d", model=write_graphs(tmp_path / "model"), threads=1))


def test_a_picture(session: DrawingSession, tmp_path: Path) -> None:
    found = draw_picture(session, tmp_path, "b c d e", DrawingSettings(seed=4))
    assert found.pixels.shape == (8, 12, 3)
    assert found.pixels.dtype == np.uint8
    assert (found.drawn, found.judged) == (Drawn(steps=20, guidance=7.5), True)
    assert (found.tokens, found.tokens_read) == (4, 3)
    assert set(found.parts_s) == {"text_encoder.onnx", "unet.onnx", "vae_decoder.onnx"}
    assert sum(found.parts_s.values()) <= found.seconds


def test_tokens_are_all_of_the_prompts_whatever_the_tokenizer_would_cut(
    session: DrawingSession, tmp_path: Path
) -> None:
    words = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    words.enable_truncation(3)
    words.enable_padding(length=3)
    words.save(str(tmp_path / "tokenizer.json"))
    found = draw_picture(session, tmp_path, "b c d e", DrawingSettings(steps=2))
    assert (found.tokens, found.tokens_read) == (4, 3)
    found = draw_picture(session, tmp_path, "b", DrawingSettings(steps=2))
    assert (found.tokens, found.tokens_read) == (1, 1)


def test_every_setting_counts(session: DrawingSession, tmp_path: Path) -> None:
    def pixels(prompt: str = "b", **settings: object) -> list[object]:
        given = DrawingSettings(**settings)  # type: ignore[arg-type] # a test's own
        found: list[object] = draw_picture(session, tmp_path, prompt, given).pixels.tolist()
        return found

    plain = pixels(guidance=2.0, steps=4)
    assert plain == pixels(guidance=2.0, steps=4)
    assert plain != pixels("c", guidance=2.0, steps=4)
    assert plain != pixels(guidance=2.0, steps=4, seed=1)
    assert plain != pixels(guidance=2.0, steps=4, negative="h")
    assert plain != pixels(guidance=2.0, steps=5)
    assert plain != pixels(guidance=1.0, steps=4)


def test_other_settings_were_not_judged(session: DrawingSession, tmp_path: Path) -> None:
    assert not draw_picture(session, tmp_path, "b", DrawingSettings(steps=3)).judged
    assert draw_picture(session, tmp_path, "b", DrawingSettings(steps=20, guidance=7.5)).judged


@pytest.mark.parametrize(
    ("prompt", "settings", "said"),
    [
        (" ", DrawingSettings(), "prompt is empty"),
        ("b" * 10_001, DrawingSettings(), "10,000 characters"),
        ("b", DrawingSettings(negative="b" * 10_001), "10,000 characters"),
        ("b", DrawingSettings(steps=0), "takes 1 to 1000"),
        ("b", DrawingSettings(seed=-1), "--seed is -1"),
        ("b", DrawingSettings(seed=2**64), "--seed"),
        ("b", DrawingSettings(guidance=-0.5), "--guidance is -0.5"),
        ("b", DrawingSettings(guidance=float("nan")), "--guidance is nan"),
    ],
)
def test_what_cannot_be_drawn(
    session: DrawingSession, tmp_path: Path, prompt: str, settings: DrawingSettings, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        draw_picture(session, tmp_path, prompt, settings)


def test_numbers_that_are_not_finite_are_no_image(
    session: DrawingSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(latents: Floats) -> Floats:
        return np.full_like(latents, np.nan)

    monkeypatch.setattr(session, "decode", broken)
    with pytest.raises(DeviceError, match="not finite"):
        draw_picture(session, tmp_path, "b", DrawingSettings())
