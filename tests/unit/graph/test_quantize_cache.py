"""Keys and values in 8 bits: what the cache holds, and what the decoder says with it."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from deployopt.core.errors import StepError
from deployopt.core.samples import Array
from deployopt.graph.quantize_cache import cache_layers, cache_ranges, quantize_cache
from deployopt.graph.reading import read_graph
from tests.fakes.decoder_graphs import CACHED, PAST, PRESENT, WIDTH, WORDS, write_attending

DOCUMENTS = [
    {"input_ids": np.random.default_rng(seed).integers(0, WORDS, (1, 24))} for seed in range(8)
]


def asked(path: Path, ids: Array, kind: type = np.float32) -> dict[str, Array]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    empty: Array = np.zeros((1, CACHED, 0, WIDTH), kind)
    feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), **dict.fromkeys(PAST, empty)}
    names = [out.name for out in session.get_outputs()]
    return dict(zip(names, session.run(names, feed), strict=True))


def ranges_of(folder: Path, documents: list[dict[str, Array]] = DOCUMENTS) -> dict[str, Array]:
    layers = cache_layers(read_graph(folder / "model.onnx"), WIDTH)
    return cache_ranges(folder / "model.onnx", layers, documents, 1, lambda _done: None)


def quantized(folder: Path, *, per_channel: bool = True) -> Path:
    model = read_graph(folder / "model.onnx")
    quantize_cache(model, cache_layers(model, WIDTH), ranges_of(folder), per_channel=per_channel)
    made = folder / "small.onnx"
    made.write_bytes(model.SerializeToString())
    return made


def test_what_a_layer_is(tmp_path: Path) -> None:
    (layer,) = cache_layers(read_graph(write_attending(tmp_path / "d") / "model.onnx"), WIDTH)
    assert (layer.past, layer.present) == (PAST, PRESENT)
    assert (layer.heads, layer.width, layer.turned) == (CACHED, WIDTH, WIDTH)
    assert not layer.interleaved
    still = write_attending(tmp_path / "s", rotates=False)
    (layer,) = cache_layers(read_graph(still / "model.onnx"), WIDTH)
    assert layer.turned == 0


@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize("per_channel", [False, True])
def test_the_cache_holds_the_same_in_8_bits(
    tmp_path: Path, *, interleaved: bool, per_channel: bool
) -> None:
    folder = write_attending(tmp_path / "d", interleaved=interleaved)
    made = quantized(folder, per_channel=per_channel)
    ids = DOCUMENTS[0]["input_ids"]
    whole, small = asked(folder / "model.onnx", ids), asked(made, ids, np.int8)
    scales = {
        tensor.name: onnx.numpy_helper.to_array(tensor)
        for tensor in read_graph(made).graph.initializer
        if tensor.name.endswith("_scale")
    }
    for name, letter in zip(PRESENT, "kv", strict=True):
        assert small[name].dtype == np.int8
        scale = scales[f"/layer/Attention.{letter}_scale"]
        assert scale.shape == ((1, CACHED, 1, WIDTH) if per_channel else (1,))
        np.testing.assert_allclose(small[name] * scale, whole[name], atol=0.51 * scale.max())
    assert np.abs(small["logits"] - whole["logits"]).max() < 0.05 * np.abs(whole["logits"]).max()


@pytest.mark.parametrize("interleaved", [False, True])
def test_a_turned_pair_is_never_longer_than_its_range(tmp_path: Path, *, interleaved: bool) -> None:
    """The same words further on: their keys are turned by angles that no text had reached."""
    folder = write_attending(tmp_path / "d", interleaved=interleaved)
    words = np.arange(WORDS)[None]
    near = ranges_of(folder, [{"input_ids": words[:, :25]}, {"input_ids": words[:, 25:]}])
    far = asked(folder / "model.onnx", words)
    for name in PRESENT:
        assert (np.abs(far[name][0]).max(axis=1) <= near[name] * 1.0001).all()
    alone = [np.abs(asked(folder / "model.onnx", part)[PRESENT[0]][0]).max(axis=1)
             for part in (words[:, :25], words[:, 25:])]  # fmt: skip
    turned_out = np.abs(far[PRESENT[0]][0]).max(axis=1) > np.maximum(*alone)
    assert turned_out.any(), "without the pairs' lengths some channel would be cut"


def test_what_cannot_keep_such_a_cache_has_no_layers(tmp_path: Path) -> None:
    folder = write_attending(tmp_path / "d")
    assert cache_layers(read_graph(quantized(folder)), WIDTH) == ()
    model = read_graph(folder / "model.onnx")
    model.graph.input.append(
        onnx.helper.make_tensor_value_info("past_conv.0", onnx.TensorProto.FLOAT, [1])
    )
    assert cache_layers(model, WIDTH) == (), "a state that is no key and no value"
    model = read_graph(folder / "model.onnx")
    del model.graph.output[1:]
    assert cache_layers(model, WIDTH) == ()
    del model.graph.node[:]
    assert cache_layers(model, WIDTH) == ()


def test_texts_that_do_not_run_are_named(tmp_path: Path) -> None:
    folder = write_attending(tmp_path / "d")
    with pytest.raises(StepError, match="text 0 does not run"):
        ranges_of(folder, [{"input_ids": np.array([[WORDS + 7]])}])
    model = onnx.load(folder / "model.onnx")
    for tensor in model.graph.initializer:
        if tensor.name == "qkv.w":
            broken = np.full(tensor.dims, np.nan, np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(broken, tensor.name))
    onnx.save(model, folder / "model.onnx")
    with pytest.raises(StepError, match="not finite for calibration text 0"):
        ranges_of(folder)
