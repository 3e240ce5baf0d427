"""Bundles that are not what was built, and runtimes that are too old for them."""

import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from deployopt.core.bundle import Manifest
from deployopt.core.codec import decode_json, encode_pretty
from deployopt.store.digests import file_entry
from deployopt.store.publishing import publish_bundle
from tests.functional.conftest import Invoke, check_schema


@pytest.fixture
def bundle(tmp_path: Path, mlp_bundle: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(mlp_bundle, tmp_path / "bundle"))


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("command", ["verify", "run", "report"])
def test_one_flipped_byte_is_found_by_every_command(
    invoke: Invoke, bundle: Path, command: str
) -> None:
    flip(bundle / "model" / "model.onnx", 100)
    done = invoke(command, bundle)
    assert done.code == 4, done.err
    assert "'model/model.onnx' has other bytes" in done.paragraph
    assert "(1 mismatch)" in done.paragraph
    assert "Take a fresh copy, or build it again." in done.paragraph
    assert "Traceback" not in done.err
    assert not (bundle / "verifications").exists()


def test_every_mismatch_is_listed_at_once(invoke: Invoke, bundle: Path) -> None:
    flip(bundle / "target.json", 3)
    flip(bundle / "gate" / "reference.npz", -1)
    (bundle / "labels.json").unlink()
    (bundle / "model" / "extra.so").write_bytes(b"\x7fELF")
    (bundle / "report.md").write_text("short", "utf-8")
    done = invoke("verify", bundle, "--json")
    assert done.code == 4
    check_schema("error-result", done.json)
    for part in (
        "'target.json' has other bytes",
        "'gate/reference.npz' has other bytes",
        "'labels.json' is missing",
        "'model/extra.so' is not listed",
        "'report.md' has 5 bytes, not",
    ):
        assert part in done.json["message"]
        assert part in done.paragraph


@pytest.mark.parametrize("at", [0, 40, -3])
def test_a_flipped_byte_of_the_manifest_itself(invoke: Invoke, bundle: Path, at: int) -> None:
    flip(bundle / "manifest.json", at)
    done = invoke("verify", bundle)
    assert done.code == 4
    assert "manifest.json" in done.paragraph


def test_what_is_no_bundle(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x", "utf-8")
    assert invoke("verify", tmp_path / "nowhere").code == 2
    assert invoke("verify", tmp_path / "folder").code == 4
    assert invoke("run", tmp_path / "file", "text").code == 4


def rebuilt(bundle: Path, destination: Path, changed: dict[str, bytes], **fields: Any) -> Path:
    """The bundle with other files, sealed anew as a build would have."""
    manifest = decode_json((bundle / "manifest.json").read_bytes(), Manifest, where="manifest")
    for name, data in changed.items():
        (bundle / name).write_bytes(data)
    paths = {entry.path: bundle / entry.path for entry in manifest.files}
    files = tuple(file_entry(path, name) for name, path in sorted(paths.items()))
    publish_bundle(paths, msgspec.structs.replace(manifest, files=files, **fields), destination)
    return destination


@pytest.mark.parametrize("command", ["verify", "run"])
def test_a_runtime_older_than_the_opset_of_the_bundle(
    invoke: Invoke, bundle: Path, tmp_path: Path, command: str
) -> None:
    """As a later exporter would write it: no runtime reads operator set 99 yet."""
    onnx = pytest.importorskip("onnx")
    model = onnx.load_from_string((bundle / "model" / "model.onnx").read_bytes())
    model.opset_import[0].version = 99
    changed = {"model/model.onnx": model.SerializeToString()}
    newer = rebuilt(bundle, tmp_path / "newer", changed, opset=99)
    import numpy as np

    np.save(tmp_path / "x.npy", np.zeros((2, 16), np.float32))
    done = invoke(command, newer, *(["--input", tmp_path / "x.npy"] if command == "run" else []))
    assert done.code == 4, done.err
    assert "99" in done.paragraph
    assert "onnxruntime" in done.paragraph
    assert "Traceback" not in done.err


def test_a_runtime_outside_of_the_range_of_the_target(
    invoke: Invoke, bundle: Path, tmp_path: Path
) -> None:
    target = json.loads((bundle / "target.json").read_bytes())
    target["runtime"]["versions"] = ">=1.20.1,<1.20.3"
    newer = rebuilt(bundle, tmp_path / "newer", {"target.json": encode_pretty(target)})
    done = invoke("verify", newer)
    assert done.code == 5, done.err
    assert "pip install 'onnxruntime>=1.20.1,<1.20.3'" in done.paragraph
