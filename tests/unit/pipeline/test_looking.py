"""A model's name becomes its facts: alias, folder, graph, sizes by hand, and every wrong name."""

import importlib
import json
import re
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import deployopt
from deployopt.catalogue.models import DEMO, entries
from deployopt.core.errors import MissingExtraError, RefusedInputError, UsageError
from deployopt.core.request import ByHand
from deployopt.pipeline.looking import look_up
from deployopt.planning.architectures import read_architecture
from tests.fakes.clip_folder import clip_config, write_clip_folder
from tests.fakes.model_folder import write_json, write_safetensors

ASSETS = Path(__file__).parents[2] / "assets"
LIGHT = {"torch", "transformers", "onnx", "onnxruntime", "huggingface_hub", "numpy", "psutil"}
CONFIG: dict[str, object] = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 8,
    "intermediate_size": 16, "num_hidden_layers": 400, "num_attention_heads": 2,
    "num_key_value_heads": 1, "vocab_size": 20, "max_position_embeddings": 64,
    "tie_word_embeddings": True, "auto_map": {"AutoModel": "code.Model"},
}  # fmt: skip
LAYER = {
    "self_attn.q_proj": (8, 8), "self_attn.k_proj": (4, 8), "self_attn.v_proj": (4, 8),
    "self_attn.o_proj": (8, 8), "mlp.gate_proj": (16, 8), "mlp.up_proj": (16, 8),
    "mlp.down_proj": (8, 16), "input_layernorm": (8,), "post_attention_layernorm": (8,),
}  # fmt: skip
TENSORS = {"model.embed_tokens.weight": (20, 8), "model.norm.weight": (8,)} | {
    f"model.layers.{at}.{name}.weight": shape for at in range(400) for name, shape in LAYER.items()
}
PARAMETERS = sum(int(np.prod(shape)) for shape in TENSORS.values())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """400 layers, their weights in one file."""
    path = tmp_path / "model"
    path.mkdir()
    write_json(path / "config.json", CONFIG)
    tensors = {name: np.zeros(shape, np.float32) for name, shape in TENSORS.items()}
    write_safetensors(path / "model.safetensors", tensors)
    return path


@pytest.mark.parametrize("alias", [DEMO, "distilbert", "BERT-base", "qwen2.5-0.5b"])
def test_an_alias_is_answered_from_the_catalogue(
    alias: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    found = look_up(alias, store=tmp_path / "store")
    assert found.entry is not None
    assert found.architecture is not None
    assert found.name == alias
    assert found.architecture.parameters == found.entry.parameters
    assert not (tmp_path / "store").exists()


def test_the_demo_is_what_its_files_are() -> None:
    demo = look_up(DEMO).architecture
    assert demo is not None
    assert demo.parameters == 22_713_218
    assert demo.stacks[0].layers == 6
    assert demo.stacks[0].hidden == 384


def test_an_unknown_name_is_compared_with_the_aliases() -> None:
    with pytest.raises(UsageError, match="Did you mean 'distilbert'"):
        look_up("distilbret")


def test_a_folder_is_its_config_and_its_headers(folder: Path) -> None:
    found = look_up(str(folder))
    assert found.warnings == ()
    assert found.architecture is not None
    assert found.architecture.parameters == PARAMETERS
    assert found.architecture.stored_bytes == 4 * PARAMETERS
    assert found.architecture.stacks[0].layers == 400
    assert "header" in found.architecture.basis


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("pytorch_model.bin", b"PK\x03\x04", r"pickles \(pytorch_model\.bin\)"),
        ("model.safetensors", b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
        ("tokenizer.json", b"{}", "no safetensors files"),
    ],
)
def test_without_headers_the_config_stands_alone_and_it_is_said(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    write_json(tmp_path / "config.json", CONFIG)
    (tmp_path / name).write_bytes(content)
    found = look_up(str(tmp_path))
    assert found.architecture is not None
    assert found.architecture.parameters == PARAMETERS
    (warning,) = found.warnings
    assert warning.startswith("Parameters are worked out from config.json alone")
    assert re.search(said, warning)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("model.onnx", r"name .*/model\.onnx"),
        ("adapter_config.json", "is an adapter"),
        ("notes.txt", "--params 7B"),
    ],
)
def test_a_folder_without_a_config_says_what_to_give(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / name).write_text("{}", encoding="utf-8")
    with pytest.raises(UsageError, match=f"holds no config.json.*{said}"):
        look_up(str(tmp_path))


def test_a_config_that_says_too_little_names_what_is_missing(tmp_path: Path) -> None:
    write_json(tmp_path / "config.json", {"model_type": "novelty"})
    with pytest.raises(UsageError, match=r"hidden_size.*--params"):
        look_up(str(tmp_path))


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"[1]", UsageError),
        (b"{", UsageError),
        (b"\xff\xfe", UsageError),
        (b"\x80\x04pickle", RefusedInputError),
        (b'{"a":' * 200_000, RefusedInputError),
        (b'{"model_type": ["llama"], "hidden_size": -1}', UsageError),
        (b'{"model_type": "llama", "hidden_size": 1e99}', UsageError),
    ],
)
def test_a_broken_config_is_one_paragraph(
    tmp_path: Path, content: bytes, error: type[Exception]
) -> None:
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(error) as caught:
        look_up(str(tmp_path))
    assert "\n" not in str(caught.value)


def test_a_config_that_is_a_link_elsewhere_is_not_read(tmp_path: Path) -> None:
    write_json(tmp_path / "config.json", CONFIG)
    inside = tmp_path / "model"
    inside.mkdir()
    (inside / "config.json").symlink_to(tmp_path / "config.json")
    with pytest.raises(RefusedInputError, match="outside its folder"):
        look_up(str(inside))


def test_a_config_of_endless_size_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "config.json").open("wb") as stream:
        stream.truncate(2**40)
    with pytest.raises(RefusedInputError, match="more than"):
        look_up(str(tmp_path))


def test_sizes_by_hand_stand_for_a_model() -> None:
    found = look_up(None, ByHand(parameters=7_000_000_000, layers=32))
    assert found.architecture is not None
    assert found.architecture.parameters == 7_000_000_000
    assert found.architecture.stacks[0].layers == 32
    assert found.name == "7.00 B parameters, by hand"


def test_a_model_and_sizes_together_are_an_error() -> None:
    with pytest.raises(UsageError, match=r"Both a model \(distilbert\) and sizes by hand"):
        look_up("distilbert", ByHand(parameters=10**9))
    with pytest.raises(UsageError, match="Name a model, or give its sizes by hand"):
        look_up(None, None)


def test_a_graph_is_counted_and_what_was_assumed_is_said() -> None:
    pytest.importorskip("onnx")
    found = look_up(str(ASSETS / "text.onnx"))
    assert found.architecture is None
    assert found.facts is not None
    assert found.facts.parameters > 0
    (warning,) = found.warnings
    assert "leaves sizes open" in warning
    assert "128" in warning
    assert "[1, 128]" in found.facts.basis


def test_weights_in_constants_count_and_shapes_are_inferred(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    weight = numpy_helper.from_array(np.ones((6, 5), np.float32), "w")
    nodes = [
        helper.make_node("Constant", [], ["w"], value=weight),
        helper.make_node("MatMul", ["x", "w"], ["h"]),
        helper.make_node("Relu", ["h"], ["y"]),
    ]
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 6])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", [given], [out])
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    facts = look_up(str(path)).facts
    assert facts is not None
    assert (facts.parameters, facts.weight_bytes) == (30, 120)
    assert [(o.kind, o.macs) for o in facts.operations] == [("gemm", 30), ("elementwise", 0)]
    assert "left out" not in facts.basis


def _resident_bytes() -> int:
    """The most that this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_data_outside_a_graph_is_not_read(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    from onnx import TensorProto, helper

    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2**15, 2**15])
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="weights.bin")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2**15])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2**15])], [weight],
    )  # fmt: skip
    path = tmp_path / "model.onnx"
    path.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString()
    )
    with (tmp_path / "weights.bin").open("wb") as stream:
        stream.truncate(2**32)  # a hole: reading it would take seconds and 4 GiB
    before = _resident_bytes()
    facts = look_up(str(path)).facts
    assert _resident_bytes() - before < 2**28
    assert facts is not None
    assert (facts.parameters, facts.weight_bytes) == (2**30, 2**32)


def test_a_graph_that_is_none_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    (tmp_path / "model.onnx").write_bytes(b"\xff" * 100)
    with pytest.raises(RefusedInputError):
        look_up(str(tmp_path / "model.onnx"))


def test_a_graph_needs_the_packages_for_building(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    # What is imported in its place must not stay behind as the package's attribute.
    monkeypatch.setattr(deployopt, "graph", importlib.import_module("deployopt.graph"))
    for name in [name for name in sys.modules if name.startswith("deployopt.graph")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(MissingExtraError, match=r"deployopt\[build\]"):
        look_up(str(ASSETS / "text.onnx"))


def test_the_hub_needs_the_packages_for_building(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with pytest.raises(MissingExtraError, match=r"deployopt\[build\]"):
        look_up("hub:acme/model", store=tmp_path / "store")


PROGRAM = """
import json, sys, time
from deployopt.pipeline.looking import look_up
start = time.process_time()
for name in sys.argv[1:]:
    assert look_up(name).architecture is not None
print(json.dumps([time.process_time() - start, sorted(name.split(".")[0] for name in sys.modules)]))
"""


def test_a_folder_and_an_alias_are_light(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), "distilbert"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    seconds, modules = json.loads(done.stdout)
    assert set(modules) & LIGHT == set()
    assert seconds < 0.5


def test_sizes_that_the_family_has_to_stand_in_for_are_named(tmp_path: Path) -> None:
    write_json(tmp_path / "config.json", {"model_type": "llama", "hidden_size": 4096})
    found = look_up(str(tmp_path))
    (about, _) = found.warnings
    assert "does not say num_hidden_layers, num_attention_heads: " in about
    assert "--params 7B --layers 32" in about


def test_no_family_of_the_catalogue_is_told_that_its_sizes_are_missing(tmp_path: Path) -> None:
    for entry in entries():
        if not entry.config:
            continue
        write_json(tmp_path / "config.json", entry.config)
        assert not [w for w in look_up(str(tmp_path)).warnings if "does not say" in w], entry.alias


def test_of_fixed_labels_the_text_tower_is_not_counted(tmp_path: Path) -> None:
    folder = write_clip_folder(tmp_path / "clip")
    whole, chosen = (look_up(f"{folder}/", labels=count).architecture for count in (0, 5))
    assert whole is not None
    assert chosen is not None
    assert [stack.name for stack in whole.stacks] == ["text", "vision"]
    assert [stack.name for stack in chosen.stacks] == ["vision"]
    assert chosen.labels == 5
    # The image tower, its projection from 8 to 4, and 5 labels of 4.
    vision = read_architecture({"model_type": "clip_vision_model"} | clip_config()["vision_config"])
    assert vision.parameters is not None
    assert chosen.parameters == vision.parameters + 8 * 4 + 5 * 4


def test_labels_are_no_part_of_another_model(tmp_path: Path) -> None:
    write_json(tmp_path / "config.json", CONFIG)
    with pytest.raises(UsageError, match=r"--labels is for image-text models.*'llama'"):
        look_up(f"{tmp_path}/", labels=3)
