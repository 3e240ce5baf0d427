"""Names of models, the ones there are not, and what is stored of a folder."""

import sys
from pathlib import Path

import pytest

from deployopt.core.errors import IntegrityError, MissingExtraError, SourceError, UsageError
from deployopt.sources.locking import encode_lock, lock_of, read_lock
from deployopt.sources.models import resolve_model
from deployopt.store.store import Store


def test_a_folder_is_copied_once_and_whole(text_folder: Path, store: Store) -> None:
    (text_folder / "optimizer.pt").write_bytes(b"anything")
    model = resolve_model(str(text_folder), store=store)
    assert {path.name for path in model.artifact.folder.iterdir()} == {
        "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt",
    }  # fmt: skip
    assert model.artifact.path.name == "config.json"
    assert resolve_model(str(text_folder), store=store) == model
    assert model.default_data is None


def test_a_folder_beside_is_found_unless_an_alias_has_its_name(
    text_folder: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(text_folder.parent)
    assert resolve_model("model", store=store).name == "model"
    text_folder.rename(text_folder.parent / "distilbert")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(SourceError, match="never fetched"):
        resolve_model("distilbert", store=store)
    assert resolve_model("./distilbert", store=store).name == "./distilbert"


def test_another_byte_is_another_model(text_folder: Path, store: Store) -> None:
    before = resolve_model(str(text_folder), store=store)
    weights = text_folder / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(bytes(data))
    after = resolve_model(str(text_folder), store=store)
    assert after.artifact.digest != before.artifact.digest


def test_a_locked_folder_that_changed_is_refused(
    text_folder: Path, store: Store, tmp_path: Path
) -> None:
    origin = resolve_model(str(text_folder), store=store).origin
    (tmp_path / "lock").write_bytes(encode_lock(lock_of([origin])))
    lock = read_lock(tmp_path / "lock")
    assert resolve_model(str(text_folder), store=store, lock=lock).origin == origin
    (text_folder / "tokenizer_config.json").write_text("{}", encoding="utf-8")
    (text_folder / "special_tokens_map.json").write_text("{}", encoding="utf-8")
    with pytest.raises(IntegrityError) as caught:
        resolve_model(str(text_folder), store=store, lock=lock)
    assert "special_tokens_map.json is new" in str(caught.value)
    assert "tokenizer_config.json has sha256" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("distillbert", "Did you mean 'distilbert'.*demo-sentiment, .*distilbert"),
        ("zzz", "no alias, no folder"),
        ("llama-2-70b", "text-generation\\) cannot be built from"),
        ("rt-detr-r18", "not built by its alias.* DETR, RT-DETR and YOLOS detectors are built"),
        ("org/name", "written hub:org/name"),
        ("./nothing", "no file or folder"),
        ("nothing.onnx", "no file or folder"),
        ("hub:name", "hub:ORG/NAME"),
        ("hub:datasets/org/name", "is data, not a model"),
    ],
)
def test_a_model_that_there_is_not(store: Store, name: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        resolve_model(name, store=store)


def test_a_file_that_is_no_model(tmp_path: Path, store: Store) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(UsageError, match="Give the folder"):
        resolve_model(str(tmp_path / "model.safetensors"), store=store)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="it is empty"):
        resolve_model(str(tmp_path / "empty"), store=store)


def test_without_the_hubs_client_the_extra_is_named(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match=r"deployopt\[build\]"):
        resolve_model("hub:org/name", store=store)


def test_names_are_read_without_heavy_packages() -> None:
    import subprocess

    code = (
        "import sys, deployopt.sources.models, deployopt.sources.data;"
        "heavy = {'torch', 'transformers', 'onnx', 'onnxruntime', 'huggingface_hub', 'pyarrow', "
        "'PIL', 'tokenizers'} & set(sys.modules); sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
