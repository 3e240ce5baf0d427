"""Bases with and without a head; what is none is refused with a reason."""

from pathlib import Path

import pytest

from deployopt.core.errors import RefusedInputError, UsageError
from deployopt.core.interface import PromptInputs, Task, TextInputs
from deployopt.sources.training_base import resolve_base
from deployopt.store.store import Store
from tests.fakes.chat import CONTEXT, write_tiny_llama
from tests.fakes.model_folder import write_text_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_text_model(tmp_path / "model", tokenizer=True)


def test_a_classifier_keeps_its_labels(folder: Path, tmp_path: Path) -> None:
    with Store(tmp_path / "store") as store:
        base = resolve_base(str(folder), store)
        assert base.labels is not None
        assert isinstance(base.inputs, TextInputs)
        assert base.folder != folder
        assert (base.folder / "tokenizer.json").exists()


def test_an_encoder_has_no_labels(folder: Path, tmp_path: Path) -> None:
    config = folder / "config.json"
    config.write_text(
        config.read_text("utf-8").replace("ForSequenceClassification", "Model"), "utf-8"
    )
    with Store(tmp_path / "store") as store:
        assert resolve_base(str(folder), store).labels is None


def test_what_is_no_base_is_refused(folder: Path, tmp_path: Path) -> None:
    graph = tmp_path / "model.onnx"
    graph.write_bytes(b"")
    with Store(tmp_path / "store") as store:
        with pytest.raises(UsageError, match="Hugging Face form"):
            resolve_base(str(graph), store)
        with pytest.raises(UsageError, match="no model"):
            resolve_base("no-such-alias", store)
        config = folder / "config.json"
        plain = config.read_text("utf-8")
        config.write_text(plain.replace("{", '{"auto_map": {"A": "x.py"},', 1), "utf-8")
        with pytest.raises(RefusedInputError, match="auto_map"):
            resolve_base(str(folder), store)


def test_a_language_model_is_a_base_with_and_without_a_template(tmp_path: Path) -> None:
    chatty, bare = write_tiny_llama(tmp_path / "a"), write_tiny_llama(tmp_path / "b")
    (bare / "chat_template.jinja").unlink()
    with Store(tmp_path / "store") as store:
        for folder, chats in ((chatty, True), (bare, False)):
            base = resolve_base(str(folder), store)
            assert base.task is Task.TEXT_GENERATION
            assert base.inputs == PromptInputs(context=CONTEXT, chat=chats)
            assert base.labels is None
        (bare / "tokenizer.json").unlink()
        with pytest.raises(UsageError, match="tokenizer"):
            resolve_base(str(bare), store)
