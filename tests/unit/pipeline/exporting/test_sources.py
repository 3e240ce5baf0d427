"""Of a bundle the model as it came is taken, where the store still has it."""

from pathlib import Path

import pytest

from deployopt.core.bundle import FileEntry, Origin
from deployopt.core.errors import IntegrityError, UsageError
from deployopt.core.exporting import ExportRequest
from deployopt.pipeline.exporting import sources
from deployopt.pipeline.exporting.sources import find_source, in_folder, model_class
from deployopt.sources.gguf import gguf_key
from deployopt.sources.hub import hub_key
from deployopt.sources.hub_names import HubName
from deployopt.sources.models import resolve_model
from deployopt.store.store import Store
from tests.fakes.chat import write_tiny_llama
from tests.fakes.language_bundles import make_language_bundle
from tests.fakes.talkers import make_talker

FILE = FileEntry(path="model.safetensors", size_bytes=1, sha256="a" * 64)


def test_every_way_that_a_model_came_by_has_its_key() -> None:
    commit = "0123456789" * 4
    hub = Origin(asked="x", resolved=f"hub:org/name@{commit}", files=(FILE,))
    at = HubName(repository="org/name", revision=commit)
    assert hub_key(at, commit, ("model.safetensors",)) in sources._keys(hub)
    file = FileEntry(path="m.gguf", size_bytes=1, sha256="b" * 64)
    assert sources._keys(Origin(asked="m.gguf", resolved="file", files=(file,))) == (
        gguf_key(file),
    )
    assert sources._keys(Origin(asked="demo-chat", resolved="d", files=(FILE,))) == (
        gguf_key(FILE),
    )


def test_a_bundle_of_a_folder_finds_it_in_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = write_tiny_llama(tmp_path / "m")
    bundle = make_language_bundle(make_talker(tmp_path / "t"), tmp_path / "b")
    request = ExportRequest(source=str(bundle), form="vllm", output=tmp_path / "out")
    with Store(tmp_path / "store") as store:
        known = resolve_model(str(model), store=store)
        monkeypatch.setattr(
            "deployopt.device.bundle_reader.OpenBundle.lineage",
            lambda _self: type("Lineage", (), {"model": known.origin}),
        )
        found = find_source(request, store, fetch=False)
    assert found.folder == known.artifact.folder
    assert model_class(known.artifact.folder) == "LlamaForCausalLM"
    assert found.architecture.generates


def test_a_bundle_that_was_changed_is_refused(tmp_path: Path) -> None:
    bundle = make_language_bundle(make_talker(tmp_path / "t"), tmp_path / "b")
    graph = bundle / "model" / "model.onnx"
    graph.write_bytes(graph.read_bytes()[:-1] + b"!")
    request = ExportRequest(source=str(bundle), form="gguf", output=tmp_path / "o.gguf")
    with Store(tmp_path / "store") as store, pytest.raises(IntegrityError, match=r"model\.onnx"):
        find_source(request, store, fetch=True)


def test_a_folder_with_another_model(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert", "num_labels": 2}')
    with pytest.raises(UsageError, match="no language model"):
        in_folder("x", tmp_path)
