"""A model of the hub is looked at through the real client, and its weights stay where they are."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from deployopt.core.errors import RefusedInputError, SourceError, UsageError
from deployopt.pipeline.looking import look_up
from deployopt.sources.hub_headers import FIRST_BYTES
from deployopt.sources.locking import Lock, LockedSource, encode_lock
from tests.fakes.hub import FakeHub, the_hub
from tests.fakes.model_folder import write_json, write_safetensors

pytest.importorskip("huggingface_hub")
NAME = "hub:acme/tiny-llama"
MODEL = "models/acme/tiny-llama"
CONFIG: dict[str, object] = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64,
    "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": 4_000, "max_position_embeddings": 512,
    "tie_word_embeddings": True, "torch_dtype": "float32",
    "auto_map": {"AutoModel": "code.Model"},
}  # fmt: skip
TABLE = {"model.embed_tokens.weight": (4_000, 64), "model.norm.weight": (64,)}
LAYER = {
    "self_attn.q_proj": (64, 64), "self_attn.k_proj": (32, 64), "self_attn.v_proj": (32, 64),
    "self_attn.o_proj": (64, 64), "mlp.gate_proj": (128, 64), "mlp.up_proj": (128, 64),
    "mlp.down_proj": (64, 128), "input_layernorm": (64,), "post_attention_layernorm": (64,),
}  # fmt: skip
TENSORS = TABLE | {
    f"model.layers.{at}.{name}.weight": shape for at in range(2) for name, shape in LAYER.items()
}
PARAMETERS = 330_048


def write_model(folder: Path, parts: int = 2) -> Path:
    folder.mkdir()
    write_json(folder / "config.json", CONFIG)
    index: dict[str, str] = {}
    for at in range(parts):
        name = f"model-{at + 1:05d}-of-{parts:05d}.safetensors"
        mine = [tensor for place, tensor in enumerate(TENSORS) if place % parts == at]
        index |= dict.fromkeys(mine, name)
        write_safetensors(folder / name, {t: np.zeros(TENSORS[t], np.float32) for t in mine})
    write_json(folder / "model.safetensors.index.json", {"weight_map": index})
    return folder


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    with the_hub(monkeypatch) as running:
        running.add(MODEL, write_model(tmp_path / "served"))
        yield running


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


def weights_sent(hub: FakeHub) -> int:
    return sum(count for name, count in hub.sent.items() if name.endswith(".safetensors"))


def test_the_headers_of_all_parts_are_read_and_nothing_else(hub: FakeHub, store: Path) -> None:
    found = look_up(NAME, store=store)
    assert found.warnings == ()
    assert found.architecture is not None
    assert found.architecture.parameters == PARAMETERS
    assert found.architecture.stored == {"float32": PARAMETERS}
    assert found.architecture.stored_bytes == 4 * PARAMETERS
    served = hub.folders[MODEL]
    large = sum(p.stat().st_size for p in served.glob("*.safetensors"))
    assert large > 1_200_000
    assert 0 < weights_sent(hub) <= 2 * FIRST_BYTES
    assert not list(store.rglob("*.safetensors"))


def test_a_header_longer_than_the_first_answer_is_asked_for_again(
    hub: FakeHub, store: Path, tmp_path: Path
) -> None:
    folder = write_model(tmp_path / "many", parts=1)
    for path in folder.glob("model*"):
        path.unlink()
    tensors = {f"model.layers.{at}.{'x' * 80}": np.zeros(64, np.float32) for at in range(2_000)}
    write_safetensors(folder / "model.safetensors", tensors)
    header = int.from_bytes((folder / "model.safetensors").read_bytes()[:8], "little")
    assert header > FIRST_BYTES
    hub.add("models/acme/many", folder)
    found = look_up("hub:acme/many", store=store)
    assert found.architecture is not None
    assert found.architecture.stored == {"float32": 128_000}
    assert weights_sent(hub) == FIRST_BYTES + header


def test_a_hub_that_sends_whole_files_is_cut_off(hub: FakeHub, store: Path, tmp_path: Path) -> None:
    hub.ranges = False
    folder = write_model(tmp_path / "large", parts=1)
    for path in folder.glob("model*"):
        path.unlink()
    write_safetensors(folder / "model.safetensors", {"w": np.zeros(2**24, np.float32)})
    hub.add("models/acme/large", folder)
    found = look_up("hub:acme/large", store=store)
    assert found.architecture is not None
    assert found.architecture.stored == {"float32": 2**24}
    assert weights_sent(hub) < 2**24


def test_a_second_time_nothing_but_the_commit_is_asked_for(hub: FakeHub, store: Path) -> None:
    first = look_up(NAME, store=store)
    hub.asked.clear()
    assert look_up(NAME, store=store) == first
    assert [line.split()[0] for line in hub.asked] == ["GET"], hub.asked
    hub.asked.clear()
    pinned = f"{NAME}@{hub.commit(MODEL)}"
    assert look_up(pinned, store=store).architecture == first.architecture
    assert hub.asked == []


def test_offline_what_was_read_before_is_used(
    hub: FakeHub, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = look_up(NAME, store=store)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    hub.asked.clear()
    assert look_up(NAME, store=store) == first
    assert hub.asked == []
    with pytest.raises(SourceError, match="HF_HUB_OFFLINE is set"):
        look_up("hub:acme/other", store=store)


def test_a_lock_decides_the_commit(hub: FakeHub, store: Path, tmp_path: Path) -> None:
    lock = tmp_path / "deployopt.lock"
    gone = "0" * 40
    source = LockedSource(resolved=f"{NAME}@{gone}", files={})
    lock.write_bytes(encode_lock(Lock(sources={NAME: source})))
    with pytest.raises(SourceError, match=f"no revision '{gone}'"):
        look_up(NAME, lock=lock, store=store)
    assert all(gone in line for line in hub.asked)


def test_pickles_are_told_and_the_config_is_used(hub: FakeHub, store: Path, tmp_path: Path) -> None:
    folder = tmp_path / "old"
    folder.mkdir()
    write_json(folder / "config.json", CONFIG)
    (folder / "pytorch_model.bin").write_bytes(b"PK\x03\x04" + bytes(5_000))
    hub.add("models/acme/old", folder)
    found = look_up("hub:acme/old", store=store)
    assert found.architecture is not None
    assert found.architecture.parameters == PARAMETERS
    assert "config.json alone" in found.warnings[0]
    assert "pytorch_model.bin" in found.warnings[0]
    assert "pytorch_model.bin" not in hub.sent


def test_a_repository_without_a_config_says_what_to_give(
    hub: FakeHub, store: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "bare"
    folder.mkdir()
    (folder / "README.md").write_text("nothing", encoding="utf-8")
    hub.add("models/acme/bare", folder)
    with pytest.raises(UsageError, match=r"no config\.json.*README\.md.*--params"):
        look_up("hub:acme/bare", store=store)


def test_a_header_that_lies_is_refused(hub: FakeHub, store: Path) -> None:
    name = "model-00001-of-00002.safetensors"
    data = (hub.folders[MODEL] / name).read_bytes()
    hub.spoiled[name] = (2**40).to_bytes(8, "little") + data[8:]
    with pytest.raises(RefusedInputError, match="header would have 1099511627776 bytes"):
        look_up(NAME, store=store)
    text = json.dumps({"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 36]}}).encode()
    spoiled = len(text).to_bytes(8, "little") + text
    hub.spoiled[name] = spoiled + bytes(len(data) - len(spoiled))
    with pytest.raises(RefusedInputError, match="belong to no tensor"):
        look_up(NAME, store=store)


def test_a_file_that_ends_early_is_an_answer_that_failed(hub: FakeHub, store: Path) -> None:
    hub.spoiled["model-00001-of-00002.safetensors"] = b"\x10"
    with pytest.raises(SourceError, match="ended after 1 of"):
        look_up(NAME, store=store)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("hub:acme/nothing", "has no hub:acme/nothing, or it is private"),
        (f"{NAME}@v9", "has no revision 'v9'"),
    ],
)
def test_what_the_hub_does_not_have(hub: FakeHub, store: Path, name: str, said: str) -> None:
    assert hub.folders
    with pytest.raises(SourceError, match=said):
        look_up(name, store=store)


def test_a_gated_model_says_how_to_log_in(hub: FakeHub, store: Path) -> None:
    hub.gated.add(MODEL)
    with pytest.raises(SourceError, match="is gated: accept its terms"):
        look_up(NAME, store=store)


def test_a_hub_that_does_not_answer_is_named(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
    monkeypatch.setenv("HF_ENDPOINT", address)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with pytest.raises(SourceError, match=f"the hub at {address} did not answer"):
        look_up(NAME, store=store)


def test_a_hub_that_breaks_while_headers_are_read(hub: FakeHub, store: Path) -> None:
    look_up(NAME, store=store)
    for record in (store / "records" / "hub-headers").iterdir():
        record.unlink()
    hub.broken = True
    with pytest.raises(SourceError, match="answered with status 500"):
        look_up(f"{NAME}@{hub.commit(MODEL)}", store=store)


def test_data_is_no_model(store: Path) -> None:
    with pytest.raises(UsageError, match="is data, not a model"):
        look_up("hub:datasets/acme/rows", store=store)
