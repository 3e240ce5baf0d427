"""Each known attack, through the door that a stranger's file comes in by: refused in one paragraph.

Nothing of it is run, nothing half-written stays in the store.
"""

import json
import pickle  # noqa: TID251 - the canaries
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from deployopt.core.errors import DeployoptError, ExitCode, RefusedInputError
from deployopt.sources.models import resolve_model
from deployopt.store.store import Store
from tests.fakes.canary import Canary
from tests.fakes.model_folder import text_config, write_json, write_text_model
from tests.hostile.subjects import Case, Data

make = pytest.importorskip("onnx.helper")

Write = Callable[[Path], None]
ELF: Final = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\0>\0" + bytes(64)
PE: Final = b"MZ\x90\0\x03" + bytes(55) + b"\x80\0\0\0" + bytes(64) + b"PE\0\0d\x86" + bytes(64)
MACH_O: Final = b"\xcf\xfa\xed\xfe\x07\0\0\x01" + bytes(64)
UNIVERSAL: Final = b"\xca\xfe\xba\xbe\0\0\0\x02" + bytes(64)
PLAN: Final = b"ptrt" + bytes(range(256)) * 4
PROGRAMS: Final = {"elf": ELF, "pe": PE, "mach-o": MACH_O, "universal": UNIVERSAL, "plan": PLAN}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_text_model(tmp_path / "model", tokenizer=True)


def refused(name: Path, store: Store, *codes: ExitCode) -> str:
    """What is said of a model that is not taken."""
    with pytest.raises(DeployoptError) as caught:
        resolve_model(str(name), store=store)
    says = str(caught.value)
    assert caught.value.exit_code in (codes or (ExitCode.INTEGRITY,)), says
    assert "\n" not in says
    assert name.name in says or name.parent.name in says
    assert not list(store.layout.staging.glob("*"))
    assert not list(store.layout.objects.glob("*"))
    return says


@pytest.mark.parametrize("kind", sorted(PROGRAMS))
def test_a_program_under_another_name_is_refused(
    kind: str, tmp_path: Path, folder: Path, store: Store
) -> None:
    (tmp_path / "model.onnx").write_bytes(PROGRAMS[kind])
    refused(tmp_path / "model.onnx", store)
    (folder / "model.safetensors").write_bytes(PROGRAMS[kind])
    refused(folder, store)


def as_pickle(path: Path, canary: Canary) -> None:
    path.write_bytes(pickle.dumps(canary))


def as_oldest(path: Path, canary: Canary) -> None:
    path.write_bytes(pickle.dumps(canary, protocol=0))


def in_zip(path: Path, canary: Canary) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(canary))


def in_tar(path: Path, canary: Canary) -> None:
    inner = path.with_name("data.pkl")
    inner.write_bytes(pickle.dumps(canary))
    with tarfile.open(path, "w:gz") as archive:
        archive.add(inner)
    inner.unlink()


def in_npz(path: Path, canary: Canary) -> None:
    with path.open("wb") as stream:
        np.savez(stream, allow_pickle=True, x=np.array([canary], dtype=object))


PICKLES: Final = (as_pickle, as_oldest, in_zip, in_tar, in_npz)


@pytest.mark.parametrize("write", PICKLES)
def test_a_pickle_for_a_graph_is_refused(
    write: Callable[[Path, Canary], None], tmp_path: Path, store: Store
) -> None:
    write(tmp_path / "model.onnx", Canary(tmp_path / "sang"))
    refused(tmp_path / "model.onnx", store)
    assert not (tmp_path / "sang").exists()


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet", ".json", ".npz", ".npy"])
def test_a_pickle_for_data_is_not_read(suffix: str, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    subject = Data(tmp_path)
    for write in PICKLES:
        path = tmp_path / f"data{suffix}"
        write(path, Canary(tmp_path / "sang"))
        ended = subject.give(Case(path.name, path.read_bytes()))
        assert ended.how in {"2", "4"}, (write, ended)
        assert "\n" not in ended.says
        assert not (tmp_path / "sang").exists()
    subject.close()


def test_a_pickle_beside_the_model_is_not_taken(folder: Path, tmp_path: Path, store: Store) -> None:
    """Only what makes up a model is copied, so what lies beside it is never opened by anything."""
    for name in ("training_args.bin", "optimizer.pt", "tokenizer.pkl", "custom.py"):
        as_pickle(folder / name, Canary(tmp_path / "sang"))
    code = {"auto_map": {"AutoModel": "custom.Model"}, "_attn_implementation": "org/kernel"}
    for name in ("processor_config.json", "added_tokens.json"):
        write_json(folder / name, code)
    taken = resolve_model(str(folder), store=store).artifact.folder
    assert {path.suffix for path in taken.iterdir()} <= {".json", ".txt", ".safetensors"}
    assert "processor_config.json" not in {path.name for path in taken.iterdir()}
    assert not (tmp_path / "sang").exists()


CODE: Final = (
    {"auto_map": {"AutoConfig": "x.Y"}}, {"attn_implementation": "org/kernel@main:f"},
    {"attn_implementation": ["org/kernel"]}, {"text_config": {"_attn_implementation": {"a": 1}}},
    {"vision": [{"deep": {"experts_implementation": "a/b"}}]}, {"Auto_Map": "x"},
    {"__auto_map__": "x--y"}, {"use_kernels": "yes"}, {"custom_pipelines": {"a": {"impl": "b"}}},
)  # fmt: skip


@pytest.mark.parametrize("code", CODE, ids=json.dumps)
@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "generation_config.json"])
def test_code_that_a_config_names_is_refused(
    name: str, code: dict[str, object], folder: Path, store: Store
) -> None:
    tree = text_config() if name == "config.json" else {"model_max_length": 48}
    write_json(folder / name, tree | code)
    says = refused(folder, store)
    assert name in says


def chained(path: Path) -> None:
    """ONNX Runtime dies on such a chain."""
    links = [
        make.make_function("own", f"F{at}", ["a"], ["b"],
            [make.make_node(f"F{at + 1}", ["a"], ["b"], domain="own")],
            [make.make_opsetid("own", 1)])
        for at in range(3000)
    ]  # fmt: skip
    last = make.make_function("own", "F3000", ["a"], ["b"],
        [make.make_node("Relu", ["a"], ["b"])], [make.make_opsetid("", 17)])  # fmt: skip
    save(path, make.make_node("F0", ["x"], ["y"], domain="own"), functions=[*links, last])


def context(path: Path) -> None:
    node = make.make_node(
        "EPContext", ["x"], ["y"], domain="com.microsoft", embed_mode=0,
        ep_cache_context="../../engine.so", main_context=1,
    )  # fmt: skip
    save(path, node)


def library(path: Path) -> None:
    save(path, make.make_node("Run", ["x"], ["y"], domain="evil.ops"))


def python(path: Path) -> None:
    node = make.make_node("PythonOp", ["x"], ["y"], domain="com.microsoft", func_name="os.system")
    inner = make.make_graph([node], "inner", [], [value("y")])
    save(path, make.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner))


def deep(path: Path) -> None:
    graph = make.make_graph([make.make_node("Relu", ["x"], ["y"])], "leaf", [], [value("y")])
    for _ in range(30):
        node = make.make_node("If", ["x"], ["y"], then_branch=graph, else_branch=graph)
        del node.attribute[1]
        graph = make.make_graph([node], "g", [], [value("y")])
    save(path, graph.node[0])


def huge_input(path: Path) -> None:
    save(path, make.make_node("Relu", ["x"], ["y"]), shape=[2**40, 2**20])


def many_nodes(path: Path) -> None:
    """Half a megabyte of nodes of two bytes: an empty message each."""
    model = make.make_model(make.make_graph([], "g", [value("x")], [value("y")]))
    graph = model.graph.SerializeToString() + b"\x0a\x00" * 250_000
    model.ClearField("graph")
    path.write_bytes(model.SerializeToString() + b"\x3a" + varint(len(graph)) + graph)


def traversal(path: Path) -> None:
    (path.parent / "secret").write_bytes(bytes(64))
    model = path.parent / "inner"
    model.mkdir()
    weight = make.make_tensor("w", 1, [4, 4], [0.0] * 16)
    weight.ClearField("float_data")
    weight.data_location = 1
    weight.external_data.add(key="location", value="../secret")
    save(path, make.make_node("MatMul", ["x", "w"], ["y"]), weights=[weight])


def value(name: str, shape: object = (1, 4)) -> object:
    return make.make_tensor_value_info(name, 1, shape)


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def save(
    path: Path, node: object, shape: object = (1, 4), functions: object = (), weights: object = ()
) -> None:
    graph = make.make_graph([node], "g", [value("x", shape)], [value("y")], list(weights))  # type: ignore[call-overload]
    model = make.make_model(
        graph,
        functions=list(functions),  # type: ignore[call-overload]
        opset_imports=[make.make_opsetid(name, 17 if not name else 1)
            for name in ("", "own", "com.microsoft")],
        ir_version=8,
    )  # fmt: skip
    path.write_bytes(model.SerializeToString())


GRAPHS: Final = (
    chained, context, library, python, deep, huge_input, many_nodes, traversal,
)  # fmt: skip


@pytest.mark.parametrize("write", GRAPHS)
def test_a_hostile_graph_is_refused(write: Write, tmp_path: Path, store: Store) -> None:
    write(tmp_path / "model.onnx")
    assert "was not opened" in refused(tmp_path / "model.onnx", store)


def claims_much(path: Path) -> None:
    """Eight bytes that would be an exabyte."""
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1152921504606846976,), }\n"
    array = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(8)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", array)


def no_array(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x", b"text")


def doubled(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", b"a")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("x.npy", b"b")


def half_a_header(path: Path) -> None:
    path.write_bytes(b"\x93NUMPY\x01\x00\x10\x00{'descr': ('<f8'\0")


@pytest.mark.parametrize(
    "write", [claims_much, no_array, doubled, half_a_header, lambda p: in_npz(p, Canary(p))]
)
def test_hostile_arrays_are_refused(write: Write, tmp_path: Path) -> None:
    from deployopt.core.samples import decode_samples
    from deployopt.device.reference import decode_reference

    path = tmp_path / "examples.npz"
    write(path)
    for read in (decode_samples, decode_reference):
        with pytest.raises(RefusedInputError) as caught:
            read(path)
        assert "\n" not in str(caught.value)


def test_a_tokenizer_that_panics_is_refused(folder: Path, store: Store) -> None:
    """A pattern that gives up on a text of one letter; a panic is no Exception."""
    tree = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    tree["normalizer"] = {"type": "Replace", "pattern": {"Regex": "(a+)+\\W"}, "content": "x"}
    write_json(folder / "tokenizer.json", tree)
    assert "PanicException" in refused(folder, store)


@pytest.mark.parametrize("depth", [100, 100_000])
@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "tokenizer.json"])
def test_nesting_without_end_is_refused(name: str, depth: int, folder: Path, store: Store) -> None:
    (folder / name).write_bytes(b'{"a":' * depth + b"1" + b"}" * depth)
    refused(folder, store, ExitCode.USAGE, ExitCode.INTEGRITY)
