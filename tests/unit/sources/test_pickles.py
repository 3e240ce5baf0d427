"""Pickled weights: refused, or read in a confined process where a person says so."""

import pickle  # noqa: TID251 - the canary
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployopt.core.errors import RefusedInputError
from deployopt.sources.models import resolve_model
from deployopt.store.store import Store
from tests.fakes.canary import Canary
from tests.fakes.model_folder import write_text_model

pytestmark = pytest.mark.torch


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as opened:
        yield opened


def pickled(folder: Path) -> dict[str, object]:
    """The folder's weights as torch saves them, and gone as safetensors."""
    import safetensors.torch
    import torch

    tensors = safetensors.torch.load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(tensors, folder / "pytorch_model.bin")
    return dict(tensors)


def test_weights_come_through_as_safetensors(tmp_path: Path, store: Store) -> None:
    import safetensors.torch
    import torch

    folder = write_text_model(tmp_path / "model")
    tensors = pickled(folder)
    with pytest.raises(RefusedInputError, match="--unsafe-load-pickle"):
        resolve_model(str(folder), store=store)
    taken = resolve_model(str(folder), store=store, pickles=True).artifact.folder
    assert not list(taken.glob("*.bin"))
    found = safetensors.torch.load_file(taken / "model.safetensors")
    assert set(found) == set(tensors)
    assert all(torch.equal(found[name], tensors[name]) for name in found)


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_code_is_not_run_even_then(tmp_path: Path, store: Store, protocol: int) -> None:
    folder = write_text_model(tmp_path / "model")
    (folder / "model.safetensors").unlink()
    sang = tmp_path / "sang"
    data = pickle.dumps({"classifier.weight": Canary(sang)}, protocol=protocol)
    (folder / "pytorch_model.bin").write_bytes(data)
    with pytest.raises(RefusedInputError, match="process of its own"):
        resolve_model(str(folder), store=store, pickles=True)
    assert not sang.exists()
    assert not list(store.layout.staging.glob("*"))
