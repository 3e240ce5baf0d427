"""The network has the published size, pads as TensorFlow does, and takes its own tensors alone."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import onnxruntime as ort  # noqa: E402 -- after the skip
from safetensors.torch import save_file  # noqa: E402

from deployopt.catalogue.models import find_entry  # noqa: E402
from deployopt.core.errors import RefusedInputError  # noqa: E402
from deployopt.graph.attaching import attach_weights  # noqa: E402
from deployopt.modeling.efficientnet_lite import (  # noqa: E402
    INPUT,
    EfficientNetLite0,
    export_efficientnet_lite,
)
from deployopt.modeling.exporting import ExportOptions  # noqa: E402

pytestmark = pytest.mark.torch
OPTIONS = ExportOptions(attach=attach_weights)


def weights(folder: Path, **changed: object) -> Path:
    torch.manual_seed(3)
    state = EfficientNetLite0().state_dict() | changed
    path = folder / "model.safetensors"
    save_file({name: value for name, value in state.items() if value is not None}, path)
    return path


def test_it_has_as_many_parameters_as_the_catalogue_says() -> None:
    counted = sum(tensor.numel() for tensor in EfficientNetLite0().parameters())
    assert counted == find_entry("efficientnet-lite0").parameters


def test_strided_convolutions_pad_to_the_right_and_below_first() -> None:
    stem = EfficientNetLite0()._conv_stem
    with torch.no_grad():
        stem.weight.zero_()
        stem.weight[0, 0, 0, 0] = 1.0  # the upper left tap: at even places it sees the pixel itself
    pixels = torch.arange(224.0 * 224).reshape(1, 1, 224, 224).repeat(1, 3, 1, 1)
    seen = stem(pixels)[0, 0]
    assert seen.shape == (112, 112)
    torch.testing.assert_close(seen, pixels[0, 0, ::2, ::2])


def test_the_graph_answers_as_torch_does_for_any_batch(tmp_path: Path) -> None:
    path = weights(tmp_path)
    export_efficientnet_lite(path, tmp_path / "model.onnx", OPTIONS)
    network = EfficientNetLite0().eval()
    torch.manual_seed(3)
    network.load_state_dict(EfficientNetLite0().state_dict())
    pixels = torch.rand(2, 3, 224, 224)
    session = ort.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {INPUT: pixels.numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(found, network(pixels).numpy(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("_fc.bias", None, "Missing key.*_fc.bias"),
        ("_fc.more", torch.zeros(1), "Unexpected key.*_fc.more"),
        ("_fc.bias", torch.zeros(10), "size mismatch for _fc.bias"),
    ],
)
def test_other_tensors_are_refused(tmp_path: Path, name: str, value: object, said: str) -> None:
    path = weights(tmp_path, **{name: value})
    with pytest.raises(RefusedInputError, match=f"(?s)no EfficientNet-Lite0: .*{said}"):
        export_efficientnet_lite(path, tmp_path / "model.onnx", OPTIONS)
    assert not (tmp_path / "model.onnx").exists()
