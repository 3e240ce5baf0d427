"""The base weights become DistilBERT's, the adapter is merged, and the folder is what it says."""

import hashlib
import json
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from deployopt.core.errors import IntegrityError, RefusedInputError
from deployopt.sources import demo_card, demo_weights

WIDTH, HIDDEN, WORDS, POSITIONS, LAYERS, RANK = 12, 24, 30, 16, 2, 3
Adapter = dict[str, NDArray[np.float16]]


def shapes(width: int = WIDTH) -> dict[str, tuple[int, ...]]:
    """A tiny BERT encoder's tensors."""
    made: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (WORDS, width),
        "embeddings.position_embeddings.weight": (POSITIONS, width),
        "embeddings.token_type_embeddings.weight": (2, width),
        "embeddings.LayerNorm.weight": (width,),
        "embeddings.LayerNorm.bias": (width,),
        "pooler.dense.weight": (width, width),
        "pooler.dense.bias": (width,),
    }
    inner = {"intermediate.dense": (HIDDEN, width), "output.dense": (width, HIDDEN)}
    for layer in range(LAYERS):
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            made[f"encoder.layer.{layer}.attention.{part}.weight"] = (width, width)
            made[f"encoder.layer.{layer}.attention.{part}.bias"] = (width,)
        for part, shape in inner.items():
            made[f"encoder.layer.{layer}.{part}.weight"] = shape
            made[f"encoder.layer.{layer}.{part}.bias"] = (shape[0],)
        for part in ("attention.output.LayerNorm", "output.LayerNorm"):
            made[f"encoder.layer.{layer}.{part}.weight"] = (width,)
            made[f"encoder.layer.{layer}.{part}.bias"] = (width,)
    return made


def bert_tensors() -> demo_weights.Tensors:
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes().items()}


def adapter_tensors(module: str) -> Adapter:
    rng = np.random.default_rng(1)
    parts = {
        f"{module}.lora_A": (RANK, WIDTH),
        f"{module}.lora_B": (WIDTH, RANK),
        "pre_classifier.weight": (WIDTH, WIDTH),
        "pre_classifier.bias": (WIDTH,),
        "classifier.weight": (2, WIDTH),
        "classifier.bias": (2,),
    }
    return {name: rng.normal(size=shape).astype(np.float16) for name, shape in parts.items()}


ADAPTED = "distilbert.transformer.layer.1.attention.v_lin"


@pytest.fixture
def parts(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Folders of tiny base weights, of a tiny adapter with a true card, and to assemble into."""
    minilm, adapter, staging = tmp_path / "minilm", tmp_path / "adapter", tmp_path / "staging"
    for folder in (minilm, adapter, staging):
        folder.mkdir()
    save_file(bert_tensors(), minilm / "model.safetensors")
    tokenizer = {"version": "1.0", "truncation": {"max_length": 128}, "padding": {"Fixed": 128}}
    (minilm / "tokenizer.json").write_text(json.dumps(tokenizer))
    write_adapter(adapter, adapter_tensors(ADAPTED))
    return minilm, adapter, staging


def write_adapter(folder: Path, tensors: Adapter) -> None:
    path = folder / demo_card.ADAPTER_FILE
    save_file(tensors, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    card = msgspec.structs.replace(demo_card.read_card(), adapter_sha256=digest)
    (folder / demo_card.CARD_FILE).write_bytes(msgspec.json.encode(card))


def test_every_tensor_is_renamed_and_the_pooler_left_out() -> None:
    state = demo_weights.distilbert_tensors(bert_tensors())
    bert = bert_tensors()
    assert len(state) == 4 + 16 * LAYERS
    name = "distilbert.transformer.layer.0.ffn.lin1.weight"
    np.testing.assert_array_equal(state[name], bert["encoder.layer.0.intermediate.dense.weight"])
    name = "distilbert.transformer.layer.1.sa_layer_norm.bias"
    np.testing.assert_array_equal(
        state[name], bert["encoder.layer.1.attention.output.LayerNorm.bias"]
    )


def test_token_type_zero_is_added_to_every_position() -> None:
    bert = bert_tensors()
    state = demo_weights.distilbert_tensors(bert)
    words = bert["embeddings.word_embeddings.weight"]
    expected = bert["embeddings.position_embeddings.weight"][3] + words[5]
    expected = expected + bert["embeddings.token_type_embeddings.weight"][0]
    found = state["distilbert.embeddings.position_embeddings.weight"][3] + words[5]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_the_adapter_is_merged_where_it_belongs_and_nowhere_else() -> None:
    state = demo_weights.distilbert_tensors(bert_tensors())
    before = dict(state)
    adapter = adapter_tensors(ADAPTED)
    demo_weights.merge_adapter(state, adapter)
    low, high = (adapter[f"{ADAPTED}.lora_{part}"].astype(np.float64) for part in "AB")
    expected = before[f"{ADAPTED}.weight"] + high @ low
    np.testing.assert_allclose(state[f"{ADAPTED}.weight"], expected, rtol=1e-4, atol=1e-5)
    changed = [name for name, tensor in before.items() if not np.array_equal(state[name], tensor)]
    assert changed == [f"{ADAPTED}.weight"]
    assert set(state) - set(before) == {name for name in adapter if "lora" not in name}


def test_the_folder_is_whole(parts: tuple[Path, Path, Path]) -> None:
    demo_weights.assemble(*parts)
    written = {path.name for path in parts[2].iterdir()}
    assert written == {
        "model.safetensors",
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    config = json.loads((parts[2] / "config.json").read_text())
    assert config["id2label"] == {"0": "negative", "1": "positive"}
    assert (config["dim"], config["n_layers"], config["hidden_dim"]) == (WIDTH, LAYERS, HIDDEN)
    assert "auto_map" not in config
    tokenizer = json.loads((parts[2] / "tokenizer.json").read_text())
    assert tokenizer["padding"] is None
    assert tokenizer["truncation"]["max_length"] == POSITIONS
    state = load_file(parts[2] / "model.safetensors")
    assert {tensor.dtype for tensor in state.values()} == {np.dtype(np.float32)}


def test_assembling_twice_gives_the_same_bytes(parts: tuple[Path, Path, Path]) -> None:
    demo_weights.assemble(*parts)
    first = (parts[2] / "model.safetensors").read_bytes()
    shutil.rmtree(parts[2])
    parts[2].mkdir()
    demo_weights.assemble(*parts)
    assert (parts[2] / "model.safetensors").read_bytes() == first


def test_an_adapter_that_its_card_does_not_name_is_refused(parts: tuple[Path, Path, Path]) -> None:
    save_file(adapter_tensors("distilbert.other"), parts[1] / demo_card.ADAPTER_FILE)
    with pytest.raises(IntegrityError, match="its card says"):
        demo_weights.assemble(*parts)
    (parts[1] / demo_card.CARD_FILE).write_text('{"format": 1}')
    with pytest.raises(IntegrityError, match="damaged"):
        demo_weights.assemble(*parts)


def test_base_weights_of_another_model_are_refused(parts: tuple[Path, Path, Path]) -> None:
    save_file({"weight": np.zeros(3, np.float32)}, parts[0] / "model.safetensors")
    with pytest.raises(RefusedInputError, match="not a BERT encoder's"):
        demo_weights.assemble(*parts)


@pytest.mark.parametrize(
    "module", ["distilbert.nowhere", "distilbert.transformer.layer.1.ffn.lin1"]
)
def test_an_adapter_of_another_shape_is_refused(
    parts: tuple[Path, Path, Path], module: str
) -> None:
    write_adapter(parts[1], adapter_tensors(module))
    with pytest.raises(RefusedInputError, match="adapter's shape"):
        demo_weights.assemble(*parts)


def test_an_adapter_without_a_head_is_refused(parts: tuple[Path, Path, Path]) -> None:
    tensors = adapter_tensors(ADAPTED)
    del tensors["classifier.weight"]
    write_adapter(parts[1], tensors)
    with pytest.raises(RefusedInputError, match=r"holds no classifier\.weight"):
        demo_weights.assemble(*parts)
