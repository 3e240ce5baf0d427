"""genai_config.json is a stranger's file."""

import json
from pathlib import Path
from typing import Any

import pytest

from deployopt.core.errors import RefusedInputError
from deployopt.device.generating.config import read_genai_config
from tests.fakes.decoders import CONTEXT, TinyDecoder, config


@pytest.fixture
def path(twin: TinyDecoder, tmp_path: Path) -> Path:
    return twin.save(tmp_path / "model")


def test_what_the_builder_writes_is_read(path: Path) -> None:
    found = read_genai_config(path)
    assert found.model.context_length == CONTEXT
    assert found.kv_bytes(10) == 2 * 1 * 1 * 4 * 10 * 4


def test_several_ends_and_a_sliding_window_are_read(path: Path) -> None:
    found = config()
    found["model"]["eos_token_id"] = [7, 9]
    found["model"]["decoder"]["sliding_window"] = {"window_size": 128, "layers": [0]}
    path.write_text(json.dumps(found))
    assert read_genai_config(path).model.eos_token_id == (7, 9)


def test_a_card_is_read_as_the_builder_names_it(path: Path) -> None:
    assert read_genai_config(path).provider == "cpu"
    path.write_text(_set(PROVIDERS, [{"cuda": {"enable_cuda_graph": "0"}}]))
    assert read_genai_config(path).provider == "cuda"


PROVIDERS = "model.decoder.session_options.provider_options"


def _set(where: str, value: object) -> str:
    found: Any = config()
    *parents, last = where.split(".")
    node = found
    for name in parents:
        node = node.setdefault(name, {})
    node[last] = value
    return json.dumps(found)


HOSTILE = {
    "another provider": _set(PROVIDERS, [{"dml": {}}]),
    "a provider's option": _set(PROVIDERS, [{"cuda": {"user_compute_stream": "1"}}]),
    "captured graphs": _set(PROVIDERS, [{"cuda": {"enable_cuda_graph": "1"}}]),
    "two providers": _set(PROVIDERS, [{"cuda": {}}, {"cuda": {}}]),
    "a card twice": _set(PROVIDERS, [{"cuda": {}, "cpu": {}}]),
    "a library": _set("model.decoder.session_options.custom_ops_library", "evil.so"),
    "profiling": _set("model.decoder.session_options.enable_profiling", "/etc/cron.d/x"),
    "a session entry": _set(
        "model.decoder.session_options.session.model_external_initializers_file_folder_path", "/"
    ),
    "run options": _set("model.decoder.run_options", {"x": "y"}),
    "more graphs": _set("model.decoder.pipeline", [{"a": {"filename": "b.onnx"}}]),
    "an encoder": _set("model.encoder", {"filename": "encoder.onnx"}),
    "a draft model": _set("model.draft", {"filename": "draft.onnx"}),
    "an engine": _set("engine", {"dynamic_batching": {}}),
    "a path": _set("model.decoder.filename", "../model/model.onnx"),
    "an absolute path": _set("model.decoder.filename", "/etc/passwd"),
    "an asset": _set("model.decoder.filename", "sha256:abc"),
    "no graph there": _set("model.decoder.filename", "other.onnx"),
    "a number of layers beyond reason": _set("model.decoder.num_hidden_layers", 10**12),
    "another type": _set("model.vocab_size", "40"),
    "no number": json.dumps(config()).replace("0.7", "NaN"),
    "a name twice": '{"model": {}, ' + json.dumps(config())[1:],
    "an escape": json.dumps(config()).replace("llama", "ll\\u0061ma"),
    "depth": "[" * 100_000,
    "no JSON": "{",
    "no text": "\udcff",
    "too much": json.dumps(config()) + " " * 2**20,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_more_than_a_decoder_is_refused(path: Path, name: str) -> None:
    path.write_bytes(HOSTILE[name].encode("utf-8", "surrogateescape"))
    with pytest.raises(RefusedInputError):
        read_genai_config(path)


def test_a_package_beside_it_is_refused_as_the_runtime_would_open_that(path: Path) -> None:
    path.with_name("manifest.json").write_text("{}")
    with pytest.raises(RefusedInputError, match="package"):
        read_genai_config(path)


def test_a_graph_that_is_a_link_is_refused(path: Path, tmp_path: Path) -> None:
    graph = path.with_name("model.onnx")
    graph.rename(tmp_path / "elsewhere.onnx")
    graph.symlink_to(tmp_path / "elsewhere.onnx")
    with pytest.raises(RefusedInputError, match="lie beside"):
        read_genai_config(path)


def test_a_graph_that_is_none_is_refused(path: Path) -> None:
    path.with_name("model.onnx").write_text("hello")
    with pytest.raises(RefusedInputError, match="not an ONNX file"):
        read_genai_config(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedInputError):
        read_genai_config(tmp_path / "genai_config.json")
