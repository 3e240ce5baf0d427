"""Hostile model folders: canary pickles in every position, code named at any depth, links."""

import json
import os
import pickle  # noqa: TID251 - the canaries
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from deployopt.core.errors import DeployoptError, RefusedInputError, UsageError
from deployopt.sources.checks import (
    CHAT_TEMPLATE,
    DEPTH_MAX,
    SMALL_FILES,
    check_no_code,
    list_model_folder,
    read_object,
    wanted_files,
)
from deployopt.sources.models import resolve_model
from deployopt.store.store import Store
from tests.fakes.model_folder import write_text_model


class Canary:
    """Sings, that is, makes a file, when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, (str(self.path),)


def plain_pickle(path: Path, canary: Canary) -> None:
    path.write_bytes(pickle.dumps(canary))


def oldest_pickle(path: Path, canary: Canary) -> None:
    path.write_bytes(pickle.dumps(canary, protocol=0))


def zipped_pickle(path: Path, canary: Canary) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(canary))


FILES = (*sorted(SMALL_FILES), "model.safetensors", "pytorch_model.bin", "model.pt", "x.pkl",
    "training_args.bin", "added_tokens.json", "modeling.py")  # fmt: skip


@pytest.mark.parametrize("write", [plain_pickle, oldest_pickle, zipped_pickle])
@pytest.mark.parametrize("name", FILES)
def test_no_canary_sings(
    tmp_path: Path, store: Store, name: str, write: Callable[[Path, Canary], None]
) -> None:
    folder = write_text_model(tmp_path / "model", tokenizer=True)
    sang = tmp_path / "sang"
    write(folder / name, Canary(sang))
    taken = True
    try:
        model = resolve_model(str(folder), store=store)
        taken = (model.artifact.folder / name).exists()
    except DeployoptError:
        taken = False
    assert not sang.exists()
    # vocab.txt and merges.txt are any words at all, once tokenizer.json is there; the oldest pickle
    # is text, as a template is.
    text = write is oldest_pickle and name == CHAT_TEMPLATE
    assert not taken or text or name in ("vocab.txt", "merges.txt")


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pkl", "m.ckpt"])
def test_weights_as_pickle_alone_are_refused(tmp_path: Path, store: Store, name: str) -> None:
    folder = write_text_model(tmp_path / "model")
    (folder / "model.safetensors").rename(folder / name)
    with pytest.raises(RefusedInputError, match="safe_serialization") as caught:
        resolve_model(str(folder), store=store)
    assert caught.value.exit_code == 4
    assert name in str(caught.value)


CODE = [
    {"auto_map": {"AutoModel": "modeling.Model"}},
    {"auto_map": "org/other--modeling.Model"},
    {"trust_remote_code": True},
    {"attn_implementation": "org/kernel"},
    {"_attn_implementation": "org/kernel:function"},
    {"_attn_implementation_internal": "org/kernel"},
    {"attn_implementation": {"": "eager", "vision": "org/kernel"}},
    {"experts_implementation": "org/kernel"},
    {"use_kernels": True},
    {"kernel_config": {"a": "b"}},
    {"quantization_config": {"quant_method": "bitsandbytes"}},
    {"custom_pipelines": {"x": {"impl": "y.Z"}}},
]


@pytest.mark.parametrize("depth", [0, 1, 2, DEPTH_MAX - 4])
@pytest.mark.parametrize("code", CODE, ids=json.dumps)
def test_code_is_found_at_any_depth(code: dict[str, object], depth: int) -> None:
    tree: dict[str, object] = code
    for level in range(depth):
        tree = {"inner": tree} if level % 2 else {"inner": [1, tree]}
        if level > DEPTH_MAX // 2 - 4:
            break
    with pytest.raises(RefusedInputError, match=next(iter(code)).strip("_")[:8]):
        check_no_code(tree, "config.json")


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_code_in_any_file_is_refused(tmp_path: Path, store: Store, name: str) -> None:
    folder = write_text_model(tmp_path / "model")
    tree = json.loads((folder / name).read_text(encoding="utf-8"))
    tree["sub"] = {"deeper": [{"auto_map": {"AutoTokenizer": ["x.Y", None]}}]}
    (folder / name).write_text(json.dumps(tree), encoding="utf-8")
    with pytest.raises(RefusedInputError, match=r"sub\.deeper\[0\]\.auto_map"):
        resolve_model(str(folder), store=store)


def test_what_is_harmless_passes() -> None:
    check_no_code({"_attn_implementation": "sdpa", "trust_remote_code": False, "auto_map": None,
        "quantization_config": None, "a": [{"b": "c"}]}, "config.json")  # fmt: skip


def test_too_deep_is_refused(tmp_path: Path) -> None:
    tree: dict[str, object] = {}
    for _ in range(DEPTH_MAX + 1):
        tree = {"a": tree}
    with pytest.raises(RefusedInputError, match="deeper"):
        check_no_code(tree, "config.json")
    (tmp_path / "config.json").write_bytes(b'{"a":' * 100_000)
    with pytest.raises(DeployoptError):
        read_object(tmp_path / "config.json")


@pytest.mark.parametrize("content", [b"[1]", b"\xff\xfe{}", b"", b"nul", b'"text"'])
def test_what_is_no_object_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(UsageError, match="not a JSON object"):
        read_object(tmp_path / "config.json")


def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    folder = write_text_model(tmp_path / "model")
    secret = tmp_path / "secret.json"
    (folder / "config.json").rename(secret)
    (folder / "config.json").symlink_to(secret)
    with pytest.raises(RefusedInputError, match="outside its folder"):
        list_model_folder(folder)


def test_the_layout_of_the_hubs_cache_is_read(tmp_path: Path, store: Store) -> None:
    repository = tmp_path / "models--org--name"
    snapshot = write_text_model(repository / "snapshots" / "0123")
    blobs = repository / "blobs"
    blobs.mkdir()
    for path in sorted(snapshot.iterdir()):
        path.rename(blobs / path.name)
        path.symlink_to(Path("../../blobs") / path.name)
    model = resolve_model(str(snapshot), store=store)
    assert not any(path.is_symlink() for path in model.artifact.folder.iterdir())


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    folder = write_text_model(tmp_path / "model")
    (folder / "tokenizer.json").unlink(missing_ok=True)
    os.mkfifo(folder / "tokenizer.json")
    with pytest.raises(RefusedInputError, match="not a regular file"):
        list_model_folder(folder)


def test_a_config_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    folder = write_text_model(tmp_path / "model")
    with (folder / "config.json").open("r+b") as stream:
        stream.truncate(SMALL_FILES["config.json"] + 1)
    with pytest.raises(RefusedInputError, match="more than"):
        list_model_folder(folder)


def test_what_is_missing_is_named() -> None:
    with pytest.raises(UsageError, match=r"config\.json and model\.safetensors missing"):
        wanted_files([], "m")
    with pytest.raises(UsageError, match=r"config\.json missing \(it holds model\.safetensors"):
        wanted_files(["model.safetensors"], "m")
    with pytest.raises(UsageError, match=r"no model\.safetensors\.index\.json"):
        wanted_files(["config.json", "model-00001-of-00002.safetensors"], "m")


def test_only_what_makes_the_model_is_taken() -> None:
    names = ["README.md", "config.json", "model.safetensors", "optimizer.pt", "pytorch_model.bin",
        "tf_model.h5", "vocab.txt", "onnx/model.onnx"]  # fmt: skip
    assert wanted_files(names, "m") == ("config.json", "model.safetensors", "vocab.txt")
