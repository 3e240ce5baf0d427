"""What makes a target consistent, and which machine counts as it."""

from typing import Literal

import msgspec
import pytest

from deployopt.core.artifact import RuntimeName
from deployopt.core.target import Hardware, Match, Peak, Runtime
from deployopt.core.units import Bandwidth, Compute, Size

PEAK = Peak(fp32=Compute(1e9))


def hardware(**over: float) -> Hardware:
    return Hardware(
        arch="aarch64",
        cpu="a board",
        cores=4,
        memory=Size(over.get("memory", 4e9)),
        memory_usable=Size(over.get("usable", 3e9)),
        bandwidth=Bandwidth(over.get("bandwidth", 1e9)),
        peak=PEAK,
    )


def test_usable_memory_is_part_of_memory() -> None:
    assert hardware().memory_usable == 3e9
    with pytest.raises(ValueError, match=r"memory_usable .* is more than memory"):
        hardware(usable=5e9)


@pytest.mark.parametrize("name", ["bandwidth", "memory", "usable"])
def test_nothing_is_zero(name: str) -> None:
    with pytest.raises(ValueError, match="above zero"):
        hardware(**{name: 0.0})


@pytest.mark.parametrize(
    ("versions", "opset", "part"),
    [
        ("1.20", 21, "not a bound on a version"),
        ("<2", 21, "needs a lowest version"),
        (">=1.20.1,<2", 22, "reads opset 21 at most"),
    ],
)
def test_a_runtime_that_contradicts_itself(versions: str, opset: int, part: str) -> None:
    with pytest.raises(ValueError, match=part):
        Runtime(threads=4, versions=versions, opset_max=opset)


@pytest.mark.parametrize(
    ("provider", "runtimes", "said"),
    [
        ("cpu", ("openvino",), "onnxruntime is always one"),
        ("cpu", ("onnxruntime", "onnxruntime"), "each of them once"),
        ("cuda", ("onnxruntime", "openvino"), "for provider cpu only"),
        ("cpu", ("onnxruntime", "tensorrt"), "tensorrt is for GPUs"),
        ("cpu", ("onnxruntime", "tensorrt-rtx"), "tensorrt-rtx is for GPUs"),
    ],
)
def test_runtimes_that_cannot_be(
    provider: Literal["cpu", "cuda"], runtimes: tuple[RuntimeName, ...], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        Runtime(
            provider=provider, runtimes=runtimes, threads=4, versions=">=1.20.1,<2", opset_max=21
        )


@pytest.mark.parametrize(
    ("board", "model", "accepted"),
    [
        ("Raspberry Pi 4", "Raspberry Pi 4 Model B Rev 1.4", True),
        ("Raspberry Pi 4", "Raspberry Pi 400 Rev 1.0", False),
        ("Raspberry Pi 4", "Raspberry Pi 5 Model B Rev 1.0", False),
        ("Raspberry Pi 4", None, False),
        ("Jetson Orin Nano", "NVIDIA Jetson Orin Nano Developer Kit", True),
        (None, None, True),
    ],
)
def test_boards(board: str | None, model: str | None, accepted: bool) -> None:  # noqa: FBT001
    assert Match(arch="aarch64", board=board).accepts_board(model) is accepted


def test_gpus() -> None:
    l4 = Match(arch="x86_64", gpu="NVIDIA L4")
    assert l4.accepts_gpus(("NVIDIA L4",))
    assert not l4.accepts_gpus(("NVIDIA L40S",))
    four = msgspec.structs.replace(l4, gpu_count=4)
    assert not four.accepts_gpus(("NVIDIA L4",) * 3)
    assert four.accepts_gpus(("NVIDIA L4",) * 4)
    assert Match(arch="x86_64").accepts_gpus(())


def test_memory_bands() -> None:
    band = Match(arch="aarch64", memory_min=Size(3e9), memory_max=Size(4e9))
    assert [band.accepts_memory(size) for size in (2e9, 3e9, 4e9, 5e9)] == [
        False,
        True,
        True,
        False,
    ]
    with pytest.raises(ValueError, match=r"memory_min .* is more than memory_max"):
        Match(arch="aarch64", memory_min=Size(4e9), memory_max=Size(3e9))
