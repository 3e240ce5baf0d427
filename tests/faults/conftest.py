"""What the fault tests build: one small bundle's worth of files."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from deployopt.core.artifact import Precision, SessionOptions
from deployopt.core.bundle import Manifest
from deployopt.core.interface import ArrayInputs, Interface, Task
from deployopt.store.digests import file_entry
from deployopt.store.publishing import publish_bundle

PublishTo = Callable[[Path, bytes], None]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill loses no page cache, so no test waits for the disk; fsync is still called."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def publish_to(tmp_path: Path) -> PublishTo:
    """Publish a bundle whose model has the given bytes at a destination."""

    def publish(destination: Path, model: bytes) -> None:
        sources = tmp_path / f"sources-{model.decode()}"
        sources.mkdir(exist_ok=True)
        files = {"model.onnx": sources / "model", "tokenizer/vocab.json": sources / "vocab"}
        for path in files.values():
            path.write_bytes(model)
        publish_bundle(files, _manifest(files), destination)

    return publish


def _manifest(files: dict[str, Path]) -> Manifest:
    return Manifest(
        name="sample",
        made_with="deployopt",
        target="x86-cpu",
        outcome="accepted",
        artifact="0" * 64,
        model="model.onnx",
        opset=21,
        precision=Precision.FP32,
        session=SessionOptions(),
        threads=1,
        interface=Interface(task=Task.ANY, inputs=ArrayInputs(inputs=()), outputs=()),
        labels_sha256="0" * 64,
        bundle_digest="0" * 64,
        deployed=("model.onnx",),
        files=tuple(file_entry(path, name) for name, path in sorted(files.items())),
    )
