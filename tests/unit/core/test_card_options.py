"""Options of ONNX Runtime's providers on a card."""

from deployopt.core.artifact import SessionOptions
from deployopt.core.card_options import (
    CUDA_OPTIONS,
    capture_options,
    cuda_options,
    profile_options,
)
from deployopt.core.engine import InputRange

PROFILE = (
    InputRange(name="ids", least=(1, 1), usual=(8, 46), most=(8, 512)),
    InputRange(name="x", least=(1, 3, 8, 8), usual=(1, 3, 8, 8), most=(4, 3, 8, 8)),
)


def test_shapes_are_written_as_tensorrt_reads_them() -> None:
    assert profile_options(SessionOptions(profile=PROFILE)) == {
        "trt_profile_min_shapes": "ids:1x1,x:1x3x8x8",
        "trt_profile_opt_shapes": "ids:8x46,x:1x3x8x8",
        "trt_profile_max_shapes": "ids:8x512,x:4x3x8x8",
    }


def test_without_shapes_nothing_is_told() -> None:
    assert profile_options(SessionOptions()) == {}
    assert profile_options(SessionOptions(profile=())) == {}


def test_cuda_computes_in_the_graphs_own_types() -> None:
    assert CUDA_OPTIONS["use_tf32"] == "0"
    assert cuda_options(SessionOptions())["use_tf32"] == "0"
    assert cuda_options(SessionOptions(tf32=True)) == {**CUDA_OPTIONS, "use_tf32": "1"}


def test_each_provider_has_its_own_word_for_capturing() -> None:
    session = SessionOptions(capture=True)
    assert capture_options("cuda", session) == {"enable_cuda_graph": "1"}
    assert capture_options("tensorrt", session) == {"trt_cuda_graph_enable": "1"}
    for quiet in (SessionOptions(), SessionOptions(capture=False)):
        assert capture_options("cuda", quiet) == {}
