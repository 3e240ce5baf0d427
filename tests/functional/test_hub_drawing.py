"""A pipeline of the hub: looked at by its configs, fetched without what is not its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deployopt.core.errors import UsageError
from deployopt.pipeline.drawing import pipeline_shape
from deployopt.pipeline.looking import look_up
from deployopt.sources.models import resolve_model
from deployopt.store.store import Store
from tests.fakes.hub import FakeHub, the_hub
from tests.fakes.pipeline_folder import write_folder

pytest.importorskip("huggingface_hub")
NAME = "hub:acme/tiny-diffusion"
REPOSITORY = "models/acme/tiny-diffusion"


@pytest.fixture
def served(tmp_path: Path) -> Path:
    folder = write_folder(tmp_path / "served")
    (folder / "safety_checker").mkdir()
    (folder / "safety_checker" / "pytorch_model.bin").write_bytes(b"\x80\x02 a pickle")
    (folder / "README.md").write_text("---\nlicense: openrail\n---\n")
    return folder


@pytest.fixture
def hub(served: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    with the_hub(monkeypatch) as running:
        running.add(REPOSITORY, served)
        yield running


def test_a_look_takes_the_configs_alone(hub: FakeHub, served: Path, tmp_path: Path) -> None:
    found = look_up(NAME, store=tmp_path / "store")
    assert found.architecture == pipeline_shape(served)
    assert not [name for name in hub.sent if name.endswith((".safetensors", ".bin"))]


def test_a_build_fetches_its_parts_and_no_more(hub: FakeHub, tmp_path: Path) -> None:
    with Store(tmp_path / "store") as store:
        source = resolve_model(NAME, store=store)
    assert source.interface.draws
    assert (source.artifact.folder / "tokenizer.json").is_file()
    assert not (source.artifact.folder / "safety_checker").exists()
    assert not [name for name in hub.sent if name.endswith(".bin")]
    assert source.origin.resolved == f"{NAME}@{hub.commit(REPOSITORY)}"


def test_another_pipeline_is_told_before_weights_come(hub: FakeHub, tmp_path: Path) -> None:
    other = write_folder(tmp_path / "other", index={"_class_name": "FluxPipeline"})
    hub.add("models/acme/flux", other)
    with pytest.raises(UsageError, match="FluxPipeline"):
        look_up("hub:acme/flux", store=tmp_path / "store")
    with (
        Store(tmp_path / "store") as store,
        pytest.raises(UsageError, match=r"hub:acme/flux/model_index\.json is of a FluxPipeline"),
    ):
        resolve_model("hub:acme/flux", store=store)
    assert not [name for name in hub.sent if name.endswith(".safetensors")]
