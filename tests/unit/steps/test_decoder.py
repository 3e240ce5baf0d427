"""Decoders are refused before they are built, and quantized in place of their float form."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx.helper as make
import onnx.numpy_helper
import onnxruntime
import pytest

from deployopt.core.artifact import Artifact, Format, Precision
from deployopt.core.decoders import DECODER_CLASSES
from deployopt.core.errors import MissingExtraError, StepError
from deployopt.core.interface import Interface, PromptInputs, Task
from deployopt.core.recipe import StepContext
from deployopt.steps import decoder
from deployopt.steps.decoder import ExportDecoder, QuantizeDecoder
from tests.fakes.chat import write_tiny_llama

CHAT = Interface(
    task=Task.TEXT_GENERATION, inputs=PromptInputs(context=512, chat=True), outputs=("logits",)
)
WORDS, WIDE = 8200, 160


@pytest.fixture
def chatting(context: Callable[[], StepContext]) -> StepContext:
    import msgspec

    return msgspec.structs.replace(context(), interface=CHAT, samples=None)


def source(folder: Path) -> Artifact:
    return Artifact(
        format=Format.TRANSFORMERS, folder=folder, entry="config.json", digest="d", notes=("So.",)
    )


def test_an_architecture_that_the_builder_lacks_is_named(
    tmp_path: Path, chatting: StepContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoder, "need_packages", lambda *_names: None)
    monkeypatch.setattr(decoder, "find_spec", lambda _name: decoder)
    folder = write_tiny_llama(tmp_path / "m", architectures=["GPT2LMForCausalLM"])
    with pytest.raises(StepError, match=r"does not build GPT2LMForCausalLM.*LlamaForCausalLM"):
        ExportDecoder().requires(source(folder), chatting)
    ExportDecoder().requires(source(write_tiny_llama(tmp_path / "n")), chatting)
    (folder / "config.json").write_text("[")
    with pytest.raises(StepError, match="is not JSON"):
        ExportDecoder().requires(source(folder), chatting)


@pytest.mark.parametrize(
    ("name", "key", "kind", "right"),
    [
        ("LlamaForCausalLM", "rope_parameters", "default", True),
        ("LlamaForCausalLM", "rope_parameters", "llama3", True),
        ("LlamaForCausalLM", "rope_scaling", "linear", False),
        ("SmolLM3ForCausalLM", "rope_parameters", "longrope", False),
        ("Phi3ForCausalLM", "rope_parameters", "longrope", True),
        ("Qwen2ForCausalLM", "rope_scaling", "linear", True),
        ("Qwen2ForCausalLM", "rope_scaling", "yarn", False),
    ],
)
def test_positions_that_the_builder_would_get_wrong_are_refused(
    tmp_path: Path,
    chatting: StepContext,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    key: str,
    kind: str,
    right: bool,  # noqa: FBT001 -- the table's
) -> None:
    monkeypatch.setattr(decoder, "need_packages", lambda *_names: None)
    monkeypatch.setattr(decoder, "find_spec", lambda _name: decoder)
    said = "type" if key == "rope_scaling" else "rope_type"
    changed = {"architectures": [name], key: {said: kind, "factor": 4.0}}
    model = source(write_tiny_llama(tmp_path / "m", **changed))
    if right:
        ExportDecoder().requires(model, chatting)
        return
    with pytest.raises(StepError, match=rf"stretched \({key}: {kind}\).* such a {name}"):
        ExportDecoder().requires(model, chatting)


def test_what_cannot_be_exported_is_refused(
    tmp_path: Path,
    chatting: StepContext,
    context: Callable[[], StepContext],
    monkeypatch: pytest.MonkeyPatch,
    float_graph: Artifact,
) -> None:
    monkeypatch.setattr(decoder, "need_packages", lambda *_names: None)
    monkeypatch.setattr(decoder, "find_spec", lambda _name: decoder)
    model = source(write_tiny_llama(tmp_path / "m"))
    with pytest.raises(StepError, match="takes a model in transformers form"):
        ExportDecoder().requires(float_graph, chatting)
    with pytest.raises(StepError, match="goes on with a text"):
        ExportDecoder().requires(model, context())
    with pytest.raises(StepError, match="blocks of 16, 32"):
        ExportDecoder(block_size=48).requires(model, chatting)
    with pytest.raises(StepError, match="accuracy level of 0 to 4"):
        ExportDecoder(accuracy_level=5).requires(model, chatting)
    with pytest.raises(StepError, match="takes a model in genai form"):
        QuantizeDecoder().requires(model, chatting)
    monkeypatch.setattr(decoder, "find_spec", lambda _name: None)
    with pytest.raises(MissingExtraError, match=r"deployopt\[chat\]"):
        ExportDecoder().requires(model, chatting)


@pytest.fixture
def made(tmp_path: Path) -> Artifact:
    """As the builder writes it: words looked up in the transposed head, data beside the graph."""
    random = np.random.default_rng(0)

    def weight(name: str, *shape: int) -> onnx.TensorProto:
        array = (random.standard_normal(shape) / 12).astype(np.float32)
        return onnx.numpy_helper.from_array(array, name)

    graph = make.make_graph(
        [
            make.make_node("Transpose", ["head.w"], ["table"], perm=[1, 0]),
            make.make_node("Gather", ["table", "input_ids"], ["x"], name="/embed/Gather"),
            make.make_node("MatMul", ["x", "a.w"], ["a"], name="/model/a/MatMul"),
            make.make_node("MatMul", ["a", "head.w"], ["logits"], name="/lm_head/MatMul"),
        ],
        "g",
        [make.make_tensor_value_info("input_ids", onnx.TensorProto.INT64, ["batch", "length"])],
        [make.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, None)],
        [weight("a.w", WIDE, WIDE), weight("head.w", WIDE, WORDS)],
    )
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)
    folder = tmp_path / "made"
    folder.mkdir()
    onnx.save(
        model, folder / "model.onnx", save_as_external_data=True, location="model.onnx.data",
        size_threshold=0,
    )  # fmt: skip
    (folder / "genai_config.json").write_text(json.dumps({"model": {"type": "llama"}}))
    (folder / "tokenizer.json").write_text("{}")
    return Artifact(
        format=Format.GENAI, folder=folder, entry="genai_config.json", digest="d", notes=("So.",)
    )


def logits(folder: Path) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        folder / "model.onnx", options, providers=["CPUExecutionProvider"]
    )
    found: np.ndarray = session.run(None, {"input_ids": np.array([[1, 5, 8000]])})[0]
    return found


def test_int8_says_nearly_the_same_and_is_a_quarter(made: Artifact, chatting: StepContext) -> None:
    step = QuantizeDecoder(reduce_range=True)
    step.requires(made, chatting)
    found = step.run(made, chatting)
    assert (found.format, found.entry) == (Format.GENAI, "genai_config.json")
    assert found.precision is Precision.INT8
    assert found.notes == (
        "So.",
        "2 nodes of the decoder were quantized with dynamic range, 1 in blocks.",
    )
    names = {path.name for path in found.folder.iterdir()}
    assert names == {path.name for path in made.folder.iterdir()}
    for name in ("genai_config.json", "tokenizer.json"):
        assert (found.folder / name).read_bytes() == (made.folder / name).read_bytes()
    graph = onnx.load(found.folder / "model.onnx", load_external_data=False)
    assert "Transpose" not in {node.op_type for node in graph.graph.node}
    assert not [t for t in graph.graph.initializer if len(t.dims) == 2 and t.data_type == 1
        and min(t.dims) > 1]  # fmt: skip
    kinds = [node.op_type for node in graph.graph.node]
    assert (kinds.count("MatMulInteger"), kinds.count("MatMulNBits")) == (1, 1)
    before, after = logits(made.folder), logits(found.folder)
    assert np.abs(before - after).max() < 0.05 * np.abs(before).max()


def test_head_and_embeddings_can_stay_float(
    made: Artifact, chatting: StepContext, context: Callable[[], StepContext]
) -> None:
    kept = QuantizeDecoder(head=False, embeddings=False).run(made, chatting)
    assert kept.precision is Precision.FP32  # nearly all of its weights are the head's
    graph = onnx.load(kept.folder / "model.onnx", load_external_data=False).graph
    kinds = [node.op_type for node in graph.node]
    assert (kinds.count("MatMulInteger"), kinds.count("MatMul")) == (1, 1)
    assert "Transpose" in kinds
    half = QuantizeDecoder(embeddings=False, blocks=()).run(made, context())
    kinds = [
        n.op_type
        for n in onnx.load(half.folder / "model.onnx", load_external_data=False).graph.node
    ]
    assert (kinds.count("MatMulInteger"), kinds.count("MatMul")) == (2, 0)


def test_the_same_graph_gives_the_same_bytes(
    made: Artifact, context: Callable[[], StepContext]
) -> None:
    one, two = (QuantizeDecoder().run(made, context()).folder for _ in range(2))
    for path in one.iterdir():
        assert path.read_bytes() == (two / path.name).read_bytes()


def test_a_quantized_decoder_is_not_quantized_again(made: Artifact, chatting: StepContext) -> None:
    import msgspec

    with pytest.raises(StepError, match="quantized already"):
        QuantizeDecoder().requires(
            msgspec.structs.replace(made, precision=Precision.INT8), chatting
        )


@pytest.mark.torch
@pytest.mark.slow
def test_the_builder_and_transformers_know_every_architecture() -> None:
    import importlib.util

    import transformers

    spec = importlib.util.find_spec("onnxruntime_genai")
    assert spec is not None
    assert spec.origin is not None
    text = (Path(spec.origin).parent / "models" / "builder.py").read_text("utf-8")
    for name in DECODER_CLASSES:
        assert f'"{name}"' in text, name
        assert hasattr(transformers, name), name
