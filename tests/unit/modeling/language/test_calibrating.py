"""Weights are rounded by GPTQ in a process of its own, and built into a decoder."""

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from deployopt.core.errors import StepError
from deployopt.core.samples import encode_samples
from tests.fakes.chat import HIDDEN, write_tiny_llama

pytest.importorskip("olive")
pytestmark = [pytest.mark.torch, pytest.mark.slow]
WHERE = "model.layers.0.mlp.gate_proj"


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    path = tmp_path / "documents.npz"
    path.write_bytes(
        encode_samples([{"input_ids": random.integers(3, 400, (1, 64))} for _ in range(8)])
    )
    return path


def stood_for(folder: Path, name: str) -> npt.NDArray[np.float64]:
    """The weights that the folder stands for, `[out, in]`."""
    from safetensors.numpy import load_file

    parts = load_file(folder / "model.safetensors")
    packed, scales, zeros = (parts[f"{name}.{part}"] for part in ("qweight", "scales", "qzeros"))
    both = np.stack([packed & 15, packed >> 4], axis=-1).reshape(packed.shape[0], -1)
    points = np.stack([zeros & 15, zeros >> 4], axis=-1).reshape(zeros.shape[0], -1)
    blocks = both.reshape(scales.shape[0], scales.shape[1], -1).astype(np.float64)
    blocks = (blocks - points[:, : scales.shape[1], None]) * scales[..., None]
    weights: npt.NDArray[np.float64] = blocks.reshape(packed.shape[0], -1)
    return weights


def test_products_change_less_than_by_rounding_to_nearest(tmp_path: Path, documents: Path) -> None:
    import torch

    from deployopt.core.interface import Task
    from deployopt.core.samples import decode_samples
    from deployopt.graph.quantize_blocks import to_blocks
    from deployopt.modeling.language.calibrating import Rounding, calibrate_weights
    from deployopt.modeling.loading import load_model

    source = write_tiny_llama(tmp_path / "m")
    made = tmp_path / "made"
    made.mkdir()
    done = calibrate_weights(source, documents, made, Rounding())
    assert done.eight == ()
    assert done.peak_bytes > 2**27
    names = {path.name for path in made.iterdir()}
    assert names == {path.name for path in source.iterdir()}
    for name in names - {"config.json", "model.safetensors"}:
        assert (made / name).read_bytes() == (source / name).read_bytes()

    model = load_model(source, Task.TEXT_GENERATION)
    seen: list[torch.Tensor] = []
    product = model.get_submodule(WHERE)
    product.register_forward_pre_hook(lambda _module, given: seen.append(given[0]))
    with torch.inference_mode():
        for feed in decode_samples(documents):
            model(input_ids=torch.from_numpy(feed["input_ids"]))
    inputs = torch.cat([one.reshape(-1, HIDDEN) for one in seen]).double().numpy()
    weight = product.get_parameter("weight").detach().double().numpy()

    packed, scales, zeros = to_blocks(weight.T.astype(np.float32), 32, 4)
    nearest = np.stack([packed & 15, packed >> 4], axis=-1).reshape(*scales.shape, 32)
    points = np.stack([zeros & 15, zeros >> 4], axis=-1).reshape(zeros.shape[0], -1)
    nearest = ((nearest - points[:, : scales.shape[1], None].astype(np.float64))
        * scales[..., None]).reshape(weight.shape)  # fmt: skip

    def error(other: npt.NDArray[np.float64]) -> float:
        return float(np.square(inputs @ (other - weight).T).sum())

    assert error(stood_for(made, WHERE)) < 0.9 * error(nearest)


def test_the_builder_makes_a_decoder_of_it(tmp_path: Path, documents: Path) -> None:
    import onnx

    from deployopt.modeling.language.building import Wanted, build_decoder
    from deployopt.modeling.language.calibrating import Rounding, calibrate_weights

    made, built = tmp_path / "made", tmp_path / "built"
    made.mkdir()
    built.mkdir()
    done = calibrate_weights(write_tiny_llama(tmp_path / "m"), documents, made, Rounding(eight=0.4))
    assert 0 < len(done.eight) < 14
    options = ("block_size=32", "accuracy_level=4", "algo_config=rtn_last", "is_symmetric=false")
    build_decoder(made, built, Wanted(precision="int4", options=options))
    graph = onnx.load(built / "model.onnx", load_external_data=False).graph
    bits = {
        node.name: next(a.i for a in node.attribute if a.name == "bits")
        for node in graph.node
        if node.op_type == "MatMulNBits"
    }
    assert len(bits) == 2 * 5 + 1
    assert set(bits.values()) == {4, 8}
    assert any(name.startswith("/lm_head") and found == 8 for name, found in bits.items())


def test_what_is_quantized_already_is_refused(tmp_path: Path, documents: Path) -> None:
    from deployopt.modeling.language.calibrating import Rounding, calibrate_weights

    made = tmp_path / "made"
    made.mkdir()
    source = write_tiny_llama(tmp_path / "m", quantization_config={"quant_method": "gptq"})
    with pytest.raises(StepError, match="quantized already"):
        calibrate_weights(source, documents, made, Rounding())
    plain = write_tiny_llama(tmp_path / "n")
    with pytest.raises(StepError, match="took too long"):
        calibrate_weights(plain, documents, made, Rounding(timeout_s=0.5))
    assert not list(made.iterdir())
    assert json.loads((plain / "config.json").read_text())["architectures"]
