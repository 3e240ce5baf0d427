"""A causal language model's folder becomes a source whose inputs are prompts."""

import json
from pathlib import Path

import pytest

from deployopt.core.artifact import Format, Precision
from deployopt.core.errors import RefusedInputError, UsageError
from deployopt.core.interface import PromptInputs, Task
from deployopt.sources.decoders import prompt_inputs
from deployopt.sources.models import resolve_model
from deployopt.store.store import Store
from tests.fakes.chat import CONTEXT, write_tiny_llama


def test_a_folder_becomes_a_source(tmp_path: Path, store: Store) -> None:
    source = resolve_model(str(write_tiny_llama(tmp_path / "m")), store=store)
    assert source.interface.task is Task.TEXT_GENERATION
    assert source.interface.generates
    assert not source.interface.classifies
    assert source.interface.inputs == PromptInputs(context=CONTEXT, chat=True)
    assert source.interface.outputs == ("logits",)
    assert source.artifact.format is Format.TRANSFORMERS
    assert source.artifact.precision is Precision.FP32
    assert source.default_data is None
    taken = {path.name for path in source.artifact.folder.iterdir()}
    assert {"chat_template.jinja", "generation_config.json", "tokenizer.json"} <= taken


def test_without_a_template_it_does_not_chat(tmp_path: Path, store: Store) -> None:
    folder = write_tiny_llama(tmp_path / "m")
    (folder / "chat_template.jinja").unlink()
    plain = resolve_model(str(folder), store=store).interface.inputs
    assert plain == PromptInputs(context=CONTEXT, chat=False)
    (folder / "chat_template.jinja").write_text(" \n")
    assert resolve_model(str(folder), store=store).interface.inputs == plain
    (folder / "chat_template.jinja").unlink()
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"chat_template": "{{ messages }}"}))
    within = resolve_model(str(folder), store=store).interface.inputs
    assert within == PromptInputs(context=CONTEXT, chat=True)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"max_position_embeddings": None}, "max_position_embeddings is None"),
        ({"max_position_embeddings": 4}, "max_position_embeddings is 4"),
        ({"vocab_size": "many"}, "vocab_size is 'many'"),
        ({"vocab_size": 300}, "the tokenizer is of another model"),
    ],
)
def test_a_config_that_does_not_say_enough_is_refused(
    tmp_path: Path, store: Store, changed: dict[str, object], said: str
) -> None:
    folder = write_tiny_llama(tmp_path / "m", **changed)
    with pytest.raises(UsageError, match=said):
        resolve_model(str(folder), store=store)


def test_the_checks_of_folders_hold(tmp_path: Path, store: Store) -> None:
    code = write_tiny_llama(tmp_path / "a", auto_map={"AutoModelForCausalLM": "code.Model"})
    with pytest.raises(RefusedInputError, match="auto_map"):
        resolve_model(str(code), store=store)
    pickled = write_tiny_llama(tmp_path / "b")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(RefusedInputError, match="pickle"):
        resolve_model(str(pickled), store=store)
    wordless = write_tiny_llama(tmp_path / "c")
    (wordless / "tokenizer.json").unlink()
    with pytest.raises(UsageError, match=r"no tokenizer\.json"):
        resolve_model(str(wordless), store=store)
    broken = write_tiny_llama(tmp_path / "d")
    (broken / "tokenizer.json").write_text('{"model": 1}')
    with pytest.raises(UsageError, match="tokenizer"):
        resolve_model(str(broken), store=store)


@pytest.mark.parametrize(
    ("data", "error"),
    [(b"\x80\x04\x95ab", RefusedInputError), (b"caf\xe9", UsageError), (b"a\0b", UsageError)],
)
def test_a_template_is_text(
    tmp_path: Path, store: Store, data: bytes, error: type[Exception]
) -> None:
    folder = write_tiny_llama(tmp_path / "m")
    (folder / "chat_template.jinja").write_bytes(data)
    with pytest.raises(error, match=r"chat_template\.jinja"):
        resolve_model(str(folder), store=store)


@pytest.mark.parametrize(
    ("said", "context"),
    [
        ({"sliding_window": 64}, 64),
        ({"sliding_window": 4096}, 512),
        ({"sliding_window": None}, 512),
        ({"sliding_window": 64, "use_sliding_window": False}, 512),
        ({"sliding_window": 64, "use_sliding_window": True}, 64),
        ({"sliding_window": 4}, 512),
        ({"sliding_window": 64, "model_type": "gemma3_text"}, 512),
    ],
)
def test_a_context_ends_where_a_window_does(
    tmp_path: Path, said: dict[str, object], context: int
) -> None:
    folder = write_tiny_llama(tmp_path / "m", **said)
    config = json.loads((folder / "config.json").read_text())
    assert prompt_inputs(folder, config).context == context


def test_a_class_that_is_not_built_is_named_before_its_sizes(tmp_path: Path, store: Store) -> None:
    folder = write_tiny_llama(tmp_path / "m", max_position_embeddings=None)
    config = folder / "config.json"
    changed = json.loads(config.read_text()) | {"architectures": ["MambaForCausalLM"]}
    config.write_text(json.dumps(changed))
    with pytest.raises(UsageError, match=r"does not build MambaForCausalLM\. It builds .*LlamaFor"):
        resolve_model(str(folder), store=store)
