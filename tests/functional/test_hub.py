"""The real hub client against a hub on loopback: fetching, pinning, and every way to fail."""

import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployopt.core.artifact import Format
from deployopt.core.errors import IntegrityError, RefusedInputError, SourceError, UsageError
from deployopt.core.examples import decode_examples
from deployopt.core.interface import Task, TextInputs
from deployopt.core.measurement import Split
from deployopt.sources.data import load_dataset
from deployopt.sources.locking import encode_lock, lock_of, read_lock
from deployopt.sources.models import resolve_model
from deployopt.store.store import Store
from tests.fakes.clip_folder import write_clip_folder
from tests.fakes.hub import FakeHub, the_hub, write_sst2
from tests.fakes.model_folder import sentences, write_text_model

pytest.importorskip("huggingface_hub")
MODEL = "models/distilbert/distilbert-base-uncased-finetuned-sst-2-english"
DATA = "datasets/stanfordnlp/sst2"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as opened:
        yield opened


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    with the_hub(monkeypatch) as running:
        running.add(MODEL, write_text_model(tmp_path / "served", tokenizer=False))
        yield running


def test_the_alias_distilbert_is_fetched_at_a_pinned_commit(hub: FakeHub, store: Store) -> None:
    model = resolve_model("distilbert", store=store)
    assert model.origin.resolved.endswith(f"sst-2-english@{hub.commit(MODEL)}")
    assert model.origin.licence == "apache-2.0"
    assert model.interface.labels == ("NEGATIVE", "POSITIVE")
    assert model.artifact.format is Format.TRANSFORMERS
    assert isinstance(model.interface.inputs, TextInputs)
    assert model.interface.inputs.max_length == 48
    assert (model.artifact.folder / "tokenizer.json").is_file()
    assert {entry.path for entry in model.origin.files} == {
        "config.json",
        "model.safetensors",
        "tokenizer_config.json",
        "vocab.txt",
    }
    assert model.default_data == "sst2"
    assert model.declared is not None
    assert not any(path.name == ".cache" for path in model.artifact.folder.rglob("*"))


def test_a_second_time_nothing_is_fetched(hub: FakeHub, store: Store) -> None:
    first = resolve_model("distilbert", store=store)
    hub.asked.clear()
    assert resolve_model("distilbert", store=store) == first
    assert [line.split()[0] for line in hub.asked] == ["GET"], hub.asked
    hub.asked.clear()
    named = f"hub:{MODEL.removeprefix('models/')}@{hub.commit(MODEL)}"
    assert resolve_model(named, store=store).artifact == first.artifact
    assert hub.asked == []


def test_sst2_is_split_gate_from_validation_and_the_rest_from_train(
    hub: FakeHub, store: Store, tmp_path: Path
) -> None:
    hub.add(DATA, write_sst2(tmp_path / "sst2"))
    model = resolve_model("distilbert", store=store)
    data = load_dataset(None, model=model, store=store)
    gate = decode_examples(data.splits[Split.GATE].path)
    assert set(gate.inputs) == {text for text, _ in sentences(200, 1)}
    assert dict(zip(gate.inputs, gate.labels or (), strict=True)) == dict(sentences(200, 1))
    rest = [*decode_examples(data.splits[Split.CALIBRATION].path).inputs,
        *decode_examples(data.splits[Split.SEARCH].path).inputs]  # fmt: skip
    train = [text for text, _ in sentences(400, 2)]
    assert len(rest) == len(set(rest)) == 399
    assert set(rest) <= set(train)
    assert "1 of the rows" in " ".join(data.notes)
    assert data.origin.resolved == f"hub:{DATA}@{hub.commit(DATA)}"


def test_a_file_that_changes_between_listing_and_fetching_is_refused(
    hub: FakeHub, store: Store
) -> None:
    served = hub.folders[MODEL] / "vocab.txt"
    hub.spoiled["vocab.txt"] = served.read_bytes().replace(b"good", b"evil")
    with pytest.raises(IntegrityError, match=r"vocab\.txt has the digest"):
        resolve_model("distilbert", store=store)
    hub.spoiled.clear()
    assert resolve_model("distilbert", store=store).origin.files


def test_a_lock_keeps_the_commit_and_refuses_drift(
    hub: FakeHub, store: Store, tmp_path: Path
) -> None:
    before = resolve_model("distilbert", store=store)
    (tmp_path / "deployopt.lock").write_bytes(encode_lock(lock_of([before.origin])))
    lock = read_lock(tmp_path / "deployopt.lock")
    (hub.folders[MODEL] / "tokenizer_config.json").write_text("{}", encoding="utf-8")
    assert resolve_model("distilbert", store=store).origin != before.origin
    assert resolve_model("distilbert", store=store, lock=lock) == before
    bent = lock_of([before.origin.__class__(asked="distilbert", resolved=before.origin.resolved,
        files=before.origin.files[1:])])  # fmt: skip
    with pytest.raises(IntegrityError, match=r"config\.json is new"):
        resolve_model("distilbert", store=store, lock=bent)
    with pytest.raises(UsageError, match="not in the lock file"):
        resolve_model("minilm", store=store, lock=lock)


def test_no_hub_is_an_error_that_names_the_model_without_one(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("HF_ENDPOINT", address)
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        with pytest.raises(SourceError) as caught:
            resolve_model("distilbert", store=store)
    said = str(caught.value)
    assert "distilbert" in said
    assert address in said
    assert "demo-sentiment" in said
    assert "\n" not in said
    assert caught.value.exit_code == 5


def test_offline_uses_what_was_fetched_and_nothing_else(
    hub: FakeHub, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = resolve_model("distilbert", store=store)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    hub.asked.clear()
    assert resolve_model("distilbert", store=store) == fetched
    with pytest.raises(SourceError, match="demo-sentiment"):
        resolve_model("minilm", store=store)
    assert hub.asked == []


def test_what_the_hub_refuses_is_told(hub: FakeHub, store: Store) -> None:
    with pytest.raises(SourceError, match="has no hub:no/such"):
        resolve_model("hub:no/such", store=store)
    with pytest.raises(SourceError, match="no revision 'v9'"):
        resolve_model(f"hub:{MODEL.removeprefix('models/')}@v9", store=store)
    hub.gated.add(MODEL)
    with pytest.raises(SourceError, match="gated"):
        resolve_model("distilbert", store=store)


def test_a_repository_of_pickles_is_refused_before_it_is_fetched(
    hub: FakeHub, store: Store
) -> None:
    folder = hub.folders[MODEL]
    shutil.move(folder / "model.safetensors", folder / "pytorch_model.bin")
    with pytest.raises(RefusedInputError, match=r"pytorch_model\.bin"):
        resolve_model("distilbert", store=store)
    assert not any("/resolve/" in line for line in hub.asked)


def test_code_in_a_config_of_the_hub_is_refused_and_not_stored(hub: FakeHub, store: Store) -> None:
    path = hub.folders[MODEL] / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(config | {"auto_map": {"AutoModel": "m.M"}}), encoding="utf-8")
    with pytest.raises(RefusedInputError, match="auto_map"):
        resolve_model("distilbert", store=store)
    assert not list(store.layout.objects.iterdir())


@pytest.mark.usefixtures("hub")
def test_something_else_at_the_address_is_no_hub(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.fakes.hub._listing", lambda *_: b"<html>hello</html>")
    with pytest.raises(SourceError, match="not a model hub"):
        resolve_model("distilbert", store=store)
    monkeypatch.setenv("HF_ENDPOINT", "ftp://127.0.0.1")
    with pytest.raises(UsageError, match="HF_ENDPOINT"):
        resolve_model("distilbert", store=store)


def test_data_of_the_hub_is_named_by_file(hub: FakeHub, store: Store, tmp_path: Path) -> None:
    hub.add(DATA, write_sst2(tmp_path / "sst2"))
    model = resolve_model("distilbert", store=store)
    with pytest.raises(UsageError, match="has 2 data files"):
        load_dataset(f"hub:{DATA}", model=model, store=store)
    one = f"hub:{DATA}:data/validation-00000-of-00001.parquet"
    data = load_dataset(one, model=model, store=store)
    assert sum(split.examples for split in data.splits.values()) == 200
    with pytest.raises(UsageError, match="no file"):
        load_dataset(f"hub:{DATA}:data/other.parquet", model=model, store=store)


@pytest.mark.parametrize("name", ["../evil.csv", "/evil.csv", "a/../../evil.csv", "a//b.csv"])
def test_a_listing_that_leaves_its_folder_is_refused(
    hub: FakeHub, store: Store, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    listing = {"id": "x/y", "sha": "0" * 40, "siblings": [{"rfilename": name, "size": 1}]}
    model = resolve_model("distilbert", store=store)
    hub.add("datasets/x/y", hub.folders[MODEL])
    monkeypatch.setattr("tests.fakes.hub._listing", lambda *_: json.dumps(listing).encode())
    with pytest.raises(RefusedInputError, match="leaves its folder"):
        load_dataset("hub:datasets/x/y", model=model, store=store)


def test_a_hub_that_breaks_off_is_told(hub: FakeHub, store: Store) -> None:
    hub.broken = True
    with pytest.raises(SourceError, match="answered with status 500"):
        resolve_model("distilbert", store=store)


def test_clip_of_the_hub_takes_labels_which_a_lock_pins(
    hub: FakeHub, store: Store, tmp_path: Path
) -> None:
    hub.add("models/org/clip", write_clip_folder(tmp_path / "clip"))
    labels = tmp_path / "labels.txt"
    labels.write_text("a cat\na dog\n")
    model = resolve_model("hub:org/clip", store=store, labels=labels)
    assert model.interface.task is Task.ZERO_SHOT
    assert model.interface.labels == ("a cat", "a dog")
    (tmp_path / "lock").write_bytes(encode_lock(lock_of([model.origin])))
    lock = read_lock(tmp_path / "lock")
    assert resolve_model("hub:org/clip", store=store, lock=lock, labels=labels) == model
    labels.write_text("a cat\nthe dog\n")
    with pytest.raises(IntegrityError, match=r"labels/labels\.txt has sha256"):
        resolve_model("hub:org/clip", store=store, lock=lock, labels=labels)
