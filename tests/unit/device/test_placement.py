"""Where nodes ran, from real profiles of ONNX Runtime and from made-up ones of a card."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from deployopt.core.errors import DeviceError
from deployopt.device.placement import CPU, SMALL, Placed, read_placement, require_on_card

CUDA = "CUDAExecutionProvider"
ON_CARD = Placed(name="encoder/q", operator="MatMul", provider=CUDA, tensors=(("float16", 4096),))


def on_cpu(*tensors: tuple[str, int], operator: str = "Gather") -> Placed:
    return Placed(name=f"layer/{operator}", operator=operator, provider=CPU, tensors=tensors)


def profiled(model: Path, folder: Path, feed: dict[str, np.ndarray]) -> bytes:
    options = onnxruntime.SessionOptions()
    options.enable_profiling = True
    options.profile_file_prefix = str(folder / "first")
    session = onnxruntime.InferenceSession(str(model), options, providers=[CPU])
    session.run(None, feed)
    return Path(session.end_profiling()).read_bytes()


def test_a_real_profile_names_every_node_with_what_it_read_and_wrote(
    assets: Path, tmp_path: Path
) -> None:
    ids = np.ones((1, 40), dtype=np.int64)
    feed = {"input_ids": ids, "attention_mask": ids}
    placed = read_placement(profiled(assets / "text.onnx", tmp_path, feed))
    assert {one.provider for one in placed} == {CPU}
    assert len({one.name for one in placed}) == len(placed) > 1
    assert any(("int64", 40) in one.tensors for one in placed)
    # All of it fell back, as far as a card is concerned.
    with pytest.raises(DeviceError, match="Not one node of the model ran on CUDA"):
        require_on_card(placed, CUDA)
    floats = [one for one in placed if not one.on_shapes]
    with pytest.raises(DeviceError, match=rf"{len(floats)} of {len(placed) + 1} nodes ran on the"):
        require_on_card([*placed, ON_CARD], CUDA)


@pytest.mark.parametrize(
    "tensors",
    [
        (("int64", 2), ("int64", 1)),
        (("int64", 512), ("bool", 512)),
        (("int32", 100_000),),
        (("float", 1), ("float", 1)),
        (("float16", SMALL),),
        (),
    ],
)
def test_shapes_indices_and_masks_may_stay_on_the_cpu(tensors: tuple[tuple[str, int], ...]) -> None:
    require_on_card([ON_CARD, on_cpu(*tensors)], CUDA)


@pytest.mark.parametrize(
    ("tensors", "operator"),
    [
        ((("float", SMALL + 1),), "Gather"),
        ((("int64", 8), ("float16", 6144)), "Gather"),
        ((("uint8", 4096), ("int8", 4096), ("int32", 4096)), "MatMulInteger"),
        ((("string", 500),), "StringNormalizer"),
    ],
)
def test_anything_of_weight_on_the_cpu_is_an_error_with_its_name(
    tensors: tuple[tuple[str, int], ...], operator: str
) -> None:
    with pytest.raises(DeviceError, match=rf"1 of 2 nodes ran on the CPU.*{operator}"):
        require_on_card([ON_CARD, on_cpu(*tensors, operator=operator)], CUDA)


def test_many_are_counted_and_a_few_are_named() -> None:
    fell = [on_cpu(("float", 4096), operator=f"Op{number}") for number in range(9)]
    with pytest.raises(DeviceError, match=r"9 of 10 nodes.*Op0.*Op3.* and 5 more"):
        require_on_card([ON_CARD, *fell], CUDA)


def test_what_cuda_does_for_tensorrt_is_on_the_card() -> None:
    engine = Placed(name="TRTKernel_0", operator="TRTKernel", provider="TensorrtExecutionProvider")
    require_on_card([engine, ON_CARD], "TensorrtExecutionProvider")
    with pytest.raises(DeviceError, match="Not one node of the model ran on Tensorrt"):
        require_on_card([ON_CARD], "TensorrtExecutionProvider")


def test_nodes_of_a_loop_come_once_and_other_events_are_none() -> None:
    node = {
        "cat": "Node", "name": "body/Add_kernel_time", "ts": 1,
        "args": {"op_name": "Add", "provider": CUDA, "output_type_shape": [{"float": [2, 3]}]},
    }  # fmt: skip
    session = {"cat": "Session", "name": "model_run", "args": {}}
    (one,) = read_placement(json.dumps([session, node, node]).encode())
    assert one == Placed(name="body/Add", operator="Add", provider=CUDA, tensors=(("float", 6),))


@pytest.mark.parametrize(("first", "last"), [("a" * 90, "a" * 90 + "_1"), ("body/x", "body/x")])
def test_no_node_hides_behind_another_of_its_name(first: str, last: str) -> None:
    """Long names are cut, and a loop's body may have names that its graph has too."""

    def node(name: str, provider: str, kind: str, size: int) -> dict[str, object]:
        shapes = [{kind: [size]}]
        args = {"op_name": "Add", "provider": provider, "output_type_shape": shapes}
        return {"cat": "Node", "name": f"{name}_kernel_time", "args": args}

    events = [node("on the card", CUDA, "float", 9), node(first, CPU, "float", 4096)]
    placed = read_placement(json.dumps([*events, node(last, CPU, "int64", 1)]).encode())
    with pytest.raises(DeviceError, match="1 of 3 nodes ran on the CPU"):
        require_on_card(placed, CUDA)


@pytest.mark.parametrize("profile", [b"", b"[", b'{"a": 1}', b'[{"args": 1}]', b"\xff\xfe"])
def test_a_profile_that_cannot_be_read_is_no_pass(profile: bytes) -> None:
    with pytest.raises(DeviceError, match="cannot be read"):
        read_placement(profile)
