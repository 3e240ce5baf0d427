"""A store and a bundle to try things on."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deployopt.store.publishing import publish_bundle
from deployopt.store.store import Store
from tests.fakes.bundles import manifest_of

Publish = Callable[..., Path]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test here cuts the power, so none waits for the disk; fsync is still called."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as opened:
        yield opened


@pytest.fixture
def publish(tmp_path: Path) -> Publish:
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
