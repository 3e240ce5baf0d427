"""A store, and model folders to put into it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deployopt.core.source import SourceModel
from deployopt.sources.models import resolve_model
from deployopt.store.store import Store
from tests.fakes.model_folder import write_image_model, write_text_model


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as opened:
        yield opened


@pytest.fixture
def text_folder(tmp_path: Path) -> Path:
    return write_text_model(tmp_path / "model")


@pytest.fixture
def text_model(text_folder: Path, store: Store) -> SourceModel:
    return resolve_model(str(text_folder), store=store)


@pytest.fixture
def image_model(tmp_path: Path, store: Store) -> SourceModel:
    return resolve_model(str(write_image_model(tmp_path / "pictures")), store=store)
