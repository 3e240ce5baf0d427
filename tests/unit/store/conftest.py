"""A store and a bundle to try things on."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deployopt.core.artifact import Precision, SessionOptions
from deployopt.core.bundle import Manifest
from deployopt.core.interface import ArrayInputs, Interface, Task
from deployopt.store.digests import file_entry
from deployopt.store.publishing import publish_bundle
from deployopt.store.store import Store

Publish = Callable[..., Path]
ManifestOf = Callable[[dict[str, Path]], Manifest]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test here cuts the power, so none waits for the disk; fsync is still called."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as opened:
        yield opened


@pytest.fixture
def publish(tmp_path: Path, manifest_of: ManifestOf) -> Publish:
    """Publish a small bundle with the given contents; its folder."""

    def make(contents: dict[str, bytes], destination: Path | None = None) -> Path:
        sources = tmp_path / "sources"
        sources.mkdir(exist_ok=True)
        files = {}
        for name, data in contents.items():
            files[name] = sources / name.replace("/", "+")
            files[name].write_bytes(data)
        target = destination or tmp_path / "out" / "bundle"
        publish_bundle(files, manifest_of(files), target)
        return target

    return make


@pytest.fixture
def manifest_of() -> ManifestOf:
    """The manifest of the given files by their paths in the bundle."""
    return _manifest_of


def _manifest_of(files: dict[str, Path]) -> Manifest:
    entries = tuple(file_entry(path, name) for name, path in sorted(files.items()))
    return Manifest(
        name="sample",
        made_with="deployopt",
        target="x86-cpu",
        outcome="accepted",
        artifact="0" * 64,
        model=entries[0].path,
        opset=21,
        precision=Precision.FP32,
        session=SessionOptions(),
        threads=1,
        interface=Interface(task=Task.ANY, inputs=ArrayInputs(inputs=()), outputs=()),
        labels_sha256="0" * 64,
        bundle_digest="0" * 64,
        deployed=(entries[0].path,),
        files=entries,
    )
