"""A model that says what it was told to, and its bundle."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from deployopt.device.chatting.speaker import Speaker
from deployopt.device.chatting.texts import Texts
from deployopt.device.generating.decoder import Decoder, import_genai, open_decoder
from deployopt.device.setup import Setup
from tests.fakes.language_bundles import make_language_bundle
from tests.fakes.talkers import TEMPLATE, make_talker

GREETING = "你好 \N{GRINNING FACE}!"
SCRIPTS = (f"First {GREETING} ##", "Second ##", "Third ##")


def decoder_of(folder: Path) -> Decoder:
    """The model, open in this process."""
    setup = Setup(
        artifact="a" * 64,
        model=folder / "genai_config.json",
        threads=1,
        runtime="onnxruntime-genai",
    )
    return open_decoder(setup, stops=True)


def texts_of(folder: Path, decoder: Decoder) -> Texts:
    """Its tokenizer and template."""
    return Texts(folder, import_genai().Tokenizer(decoder.model))


MakeSpeaker = Callable[..., Speaker]


@pytest.fixture
def make_speaker(tmp_path: Path) -> MakeSpeaker:
    """A speaker in this process."""

    def make(
        scripts: Sequence[str | bytes] = SCRIPTS,
        context: int = 512,
        template: str | None = TEMPLATE,
        search: Mapping[str, object] | None = None,
    ) -> Speaker:
        folder = make_talker(tmp_path / "talker", scripts, template=template, search=search)
        decoder = decoder_of(folder)
        return Speaker(decoder, texts_of(folder, decoder), context)

    return make


@pytest.fixture(scope="session")
def talking_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Read only."""
    folder = tmp_path_factory.mktemp("talking")
    return make_language_bundle(make_talker(folder / "model", SCRIPTS), folder / "bundle")
