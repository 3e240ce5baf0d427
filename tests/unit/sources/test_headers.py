"""Which files hold a model's weights, and what their headers add up to; and headers that lie."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployopt.core.errors import DeployoptError, RefusedInputError, UsageError
from deployopt.sources.headers import (
    index_of,
    pickled_files,
    pointers,
    stored_weights,
    weight_files,
)
from tests.fakes.model_folder import write_json, write_safetensors

INDEX = "model.safetensors.index.json"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 267832558\n" % (
    b"0" * 64
)
ONE, TWO = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"


def zeros(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.zeros(shape, np.float32)


def raw(path: Path, entries: dict[str, object], data: int) -> None:
    text = json.dumps(entries).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(data))


def write_shards(folder: Path) -> dict[str, str]:
    write_safetensors(folder / ONE, {"a": zeros(2, 3), "b": zeros(4)})
    write_safetensors(folder / TWO, {"c": zeros(5)})
    index = {"a": ONE, "b": ONE, "c": TWO}
    write_json(folder / INDEX, {"metadata": {"total_size": 60}, "weight_map": index})
    return index


def test_one_file_is_counted_by_type(tmp_path: Path) -> None:
    entries: dict[str, object] = {
        "__metadata__": {"format": "pt"},
        "w": {"dtype": "BF16", "shape": [4, 2], "data_offsets": [0, 16]},
        "n": {"dtype": "F32", "shape": [3], "data_offsets": [16, 28]},
        "packed": {"dtype": "F4", "shape": [2, 3], "data_offsets": [28, 31]},
        "scalar": {"dtype": "I64", "shape": [], "data_offsets": [31, 39]},
    }
    raw(tmp_path / "model.safetensors", entries, 39)
    found = stored_weights(tmp_path)
    assert found is not None
    assert found.elements == {"BF16": 8, "F32": 3, "F4": 6, "I64": 1}
    assert (found.bytes, found.files) == (39, 1)
    assert found.tensors == {"w": (4, 2), "n": (3,), "packed": (2, 3), "scalar": ()}


def test_a_single_file_goes_before_the_parts(tmp_path: Path) -> None:
    write_shards(tmp_path)
    write_safetensors(tmp_path / "model.safetensors", {"a": zeros(7)})
    found = stored_weights(tmp_path)
    assert found is not None
    assert (found.elements, found.files) == ({"F32": 7}, 1)


@pytest.mark.parametrize("indexed", [True, False])
def test_parts_are_added_up(tmp_path: Path, indexed: bool) -> None:  # noqa: FBT001
    write_shards(tmp_path)
    # Left over from another save: the index does not list it.
    if indexed:
        write_safetensors(tmp_path / "model-00003-of-00003.safetensors", {"z": zeros(9)})
    else:
        (tmp_path / INDEX).unlink()
    found = stored_weights(tmp_path)
    assert found is not None
    assert (found.elements, found.bytes, found.files) == ({"F32": 15}, 60, 2)
    assert set(found.tensors) == {"a", "b", "c"}


def test_several_files_without_an_index_are_one_model(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "first.safetensors", {"a": zeros(2)})
    write_safetensors(tmp_path / "second.safetensors", {"b": zeros(3)})
    write_safetensors(tmp_path / "adapter_model.safetensors", {"lora": zeros(30)})
    write_safetensors(tmp_path / "consolidated.safetensors", {"other": zeros(5)})
    found = stored_weights(tmp_path)
    assert found is not None
    assert (found.elements, found.files) == ({"F32": 5}, 2)


def test_without_safetensors_there_is_nothing_to_count(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"PK\x03\x04")
    (tmp_path / "config.json").write_text("{}")
    assert stored_weights(tmp_path) is None
    assert pickled_files(child.name for child in tmp_path.iterdir()) == ("pytorch_model.bin",)


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    write_shards(tmp_path)
    (tmp_path / TWO).unlink()
    with pytest.raises(UsageError, match=TWO):
        stored_weights(tmp_path)
    (tmp_path / INDEX).unlink()
    with pytest.raises(UsageError, match=TWO):
        stored_weights(tmp_path)


def test_a_tensor_in_two_files_is_refused(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "x.safetensors", {"a": zeros(2)})
    write_safetensors(tmp_path / "y.safetensors", {"a": zeros(2)})
    with pytest.raises(RefusedInputError, match="'a' in two files"):
        stored_weights(tmp_path)


def test_an_index_that_disagrees_with_the_headers_is_refused(tmp_path: Path) -> None:
    index = write_shards(tmp_path)
    write_json(tmp_path / INDEX, {"weight_map": index | {"c": ONE}})
    with pytest.raises(RefusedInputError, match="'c', which no part holds"):
        stored_weights(tmp_path)
    write_json(tmp_path / INDEX, {"weight_map": index | {"d": TWO}})
    with pytest.raises(RefusedInputError, match="'d', which no part holds"):
        stored_weights(tmp_path)
    write_json(tmp_path / INDEX, {"weight_map": index | {"a": TWO}})
    with pytest.raises(RefusedInputError, match="'a' in another file"):
        stored_weights(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        {"weight_map": {}},
        {"weight_map": ["a"]},
        {},
        {"weight_map": {"a": "../../etc/passwd"}},
        {"weight_map": {"a": "/elsewhere/x.safetensors"}},
        {"weight_map": {"a": "sub\\x.safetensors"}},
        {"weight_map": {"a": 5}},
        {"weight_map": {"a": "pytorch_model.bin"}},
    ],
)
def test_an_index_lists_files_beside_it(content: dict[str, object]) -> None:
    with pytest.raises(RefusedInputError, match="index lists safetensors files beside it"):
        index_of(content, "here")


def test_no_part_is_looked_for_without_end() -> None:
    with pytest.raises(RefusedInputError, match="files"):
        weight_files(["m-00001-of-99999.safetensors"], "here")


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside.safetensors"
    write_safetensors(outside, {"a": zeros(2)})
    inside = tmp_path / "model"
    inside.mkdir()
    (inside / "model.safetensors").symlink_to(outside)
    with pytest.raises(RefusedInputError, match="outside its folder"):
        stored_weights(inside)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.safetensors")
    with pytest.raises(RefusedInputError, match="not a regular file"):
        stored_weights(tmp_path)
    with pytest.raises(RefusedInputError, match="not a regular file"):
        pointers(tmp_path)


def test_the_hubs_cache_is_read_through_its_links(tmp_path: Path) -> None:
    snapshot, blobs = tmp_path / "snapshots" / "abc", tmp_path / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    write_safetensors(blobs / "0123", {"a": zeros(2)})
    (snapshot / "model.safetensors").symlink_to("../../blobs/0123")
    found = stored_weights(snapshot)
    assert found is not None
    assert found.elements == {"F32": 2}


def test_a_pointer_of_git_lfs_is_told_as_one(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(POINTER)
    assert pointers(tmp_path) == ("model.safetensors",)
    with pytest.raises(UsageError, match="git lfs pull"):
        stored_weights(tmp_path)


HEADER = {
    "__metadata__": {"format": "pt"},
    "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
    "b": {"dtype": "BF16", "shape": [4], "data_offsets": [24, 32]},
}


ENTRY = '{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f'{{"a":{ENTRY},"a":{ENTRY}}}', "twice"),
        ('{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}', "twice"),
        (f'{{"a":{{"dtype":"F32","shape":[{10**20},0],"data_offsets":[0,0]}},"b":{ENTRY}}}',
         "outside"),
        ('{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}', "outside"),
        ('{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}', "outside"),
        ('{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}', "header cannot be read"),
        ('{"a":{"dtype":"F32","shape":[true],"data_offsets":[0,4]}}', "header cannot be read"),
        ('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,NaN]}}', "header cannot be read"),
        ('{"a":{"dtype":"\\ud800","shape":[1],"data_offsets":[0,4]}}', "unknown type"),
        ('{"a":{"dtype":"F32","shape":[%s1],"data_offsets":[0,4]}}' % ("1," * 99), "another size"),
        ("[]", "no JSON object"),
        ("  ", "header cannot be read"),
    ],
)  # fmt: skip
def test_a_header_that_lies_is_refused(tmp_path: Path, text: str, why: str) -> None:
    data = text.encode("utf-8")
    (tmp_path / "model.safetensors").write_bytes(len(data).to_bytes(8, "little") + data + bytes(4))
    with pytest.raises(RefusedInputError, match=why) as caught:
        stored_weights(tmp_path)
    assert len(str(caught.value)) < 1_000


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A true file with a few bytes replaced, taken away or put in."""
    text = json.dumps(HEADER).encode()
    whole = bytearray(len(text).to_bytes(8, "little") + text + bytes(32))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(whole)))
        gone = draw(st.integers(0, 4))
        whole[at : at + gone] = draw(st.binary(max_size=4))
    return bytes(whole)


@given(data=mutated())
@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_mutated_file_is_read_or_refused_in_words(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(data)
    said = ""
    try:
        found = stored_weights(tmp_path)
    except DeployoptError as error:
        said = str(error)
    else:
        assert found is not None
        assert found.bytes <= len(data)
    assert "\n" not in said
    assert len(said) < 1_000
