"""What the fault tests build: one small bundle's worth of files."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from deployopt.store.publishing import publish_bundle
from tests.fakes.bundles import manifest_of

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
        publish_bundle(files, manifest_of(files), destination)

    return publish
