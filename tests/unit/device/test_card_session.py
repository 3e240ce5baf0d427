"""A graph is opened on a card or not at all.

There is no card here: drivers are made up, the rest is ONNX Runtime itself, on the CPU, which is
what a fallback is.
"""

import os
from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import onnxruntime
import pytest

from deployopt.core.artifact import SessionOptions
from deployopt.core.card import CARD_PROVIDERS
from deployopt.core.engine import InputRange
from deployopt.core.errors import DeviceError, IntegrityError, RefusedInputError
from deployopt.device import card_session as module
from deployopt.device import placement
from deployopt.device.card_session import CardSession, open_on_card, tensorrt_options
from deployopt.device.session import open_session
from deployopt.device.setup import Setup
from deployopt.store.locks import seize

IDS = np.array([[2, 3, 4]], dtype=np.int64)
FEED = {"input_ids": IDS, "attention_mask": np.ones_like(IDS)}


@pytest.fixture
def setup(text_setup: Setup) -> Setup:
    return msgspec.structs.replace(text_setup, provider="cuda")


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "driver_missing", lambda: None)


@pytest.fixture
def providers(monkeypatch: pytest.MonkeyPatch, driver: None) -> None:  # noqa: ARG001
    """An ONNX Runtime that says it has CUDA, and opens the model on the CPU."""
    there = [*CARD_PROVIDERS.values(), "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: there)
    monkeypatch.setattr(module, "_providers", lambda _: [("CPUExecutionProvider", {})])


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def on_card(monkeypatch: pytest.MonkeyPatch, providers: None) -> None:  # noqa: ARG001
    """The CPU's provider as if it were a card's."""
    monkeypatch.setattr(module, "CARD_PROVIDERS", {"cuda": "CPUExecutionProvider"})
    monkeypatch.setattr(module, "_PLACE", "cpu")
    monkeypatch.setattr(placement, "CPU", "the other one")


def test_without_a_driver_nothing_is_opened(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "driver_missing", lambda: "there is no NVIDIA driver")
    with pytest.raises(DeviceError, match=r"CUDAExecution.*there is no NVIDIA driver.*Copy the"):
        open_session(setup)


@pytest.mark.usefixtures("driver")
def test_the_wheel_for_cpus_is_named_with_the_one_to_install(setup: Setup) -> None:
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this is the wheel for cards")
    with pytest.raises(DeviceError) as refused:
        open_session(setup)
    said = str(refused.value)
    assert f"the onnxruntime {onnxruntime.__version__} that is installed here does not have" in said
    assert "CPUExecutionProvider" in said
    assert "pip uninstall -y onnxruntime onnxruntime-gpu && pip install 'onnxruntime-gpu[" in said


@pytest.mark.usefixtures("providers")
@pytest.mark.parametrize(
    ("needed", "driver_is", "words"),
    [
        ("13.0", 12080, r"driver here is for CUDA 12\.8.*built for CUDA 13\.0.*for CUDA 13\.0 or"),
        ("13.0", 13000, "nvidia-smi"),
        ("12.8", None, "nvidia-smi"),
        ("", 12080, "nvidia-smi"),
    ],
)
def test_a_provider_that_does_not_start_is_no_session_on_the_cpu(
    setup: Setup,
    scratch: Path,
    monkeypatch: pytest.MonkeyPatch,
    needed: str,
    driver_is: int | None,
    words: str,
) -> None:
    monkeypatch.setattr(onnxruntime, "cuda_version", needed, raising=False)
    monkeypatch.setattr(module, "driver_version", lambda: driver_is)
    monkeypatch.setattr(module, "_library_missing", lambda _: None)
    with pytest.raises(DeviceError, match=rf"CUDAExecutionProvider does not start.*{words}"):
        open_on_card(setup)
    assert list(scratch.iterdir()) == []


@pytest.mark.usefixtures("providers")
@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_library_that_is_missing_is_named_by_the_loader(setup: Setup, provider: str) -> None:
    lacking = msgspec.structs.replace(setup, provider=provider)
    remedy = r"pip install 'onnxruntime-gpu\[cuda,cudnn\]'"
    with pytest.raises(DeviceError, match=rf"libonnxruntime_providers_\w+\.so.*{remedy}"):
        open_on_card(lacking)


@pytest.mark.usefixtures("providers")
@pytest.mark.parametrize(
    ("library", "remedy"),
    [("libnvinfer.so.10", "LD_LIBRARY_PATH"), ("libcublas.so.13", r"gpu\[cuda,cudnn\]")],
)
def test_tensorrts_own_libraries_are_installed_otherwise_than_cudas(
    setup: Setup, monkeypatch: pytest.MonkeyPatch, library: str, remedy: str
) -> None:
    said = f"{library}: cannot open shared object file"
    monkeypatch.setattr(module, "_library_missing", lambda _: said)
    with pytest.raises(DeviceError, match=rf"{library}: cannot open.*{remedy}"):
        open_on_card(msgspec.structs.replace(setup, provider="tensorrt"))


@pytest.mark.usefixtures("providers", "on_card")
def test_the_first_answer_is_looked_at_and_the_rest_are_not_recorded(
    setup: Setup, scratch: Path
) -> None:
    session = open_session(setup)
    assert isinstance(session, CardSession)
    assert [one.name for one in session.get_outputs()] == ["logits"]
    assert len(list(scratch.iterdir())) == 1
    first = session.run(["logits"], FEED)
    assert first[0].shape == (1, 2)
    assert list(scratch.iterdir()) == []
    assert np.array_equal(session.run(["logits"], FEED)[0], first[0])


@pytest.mark.usefixtures("on_card")
def test_what_tensorrt_builds_is_in_use_while_the_process_lives(
    setup: Setup, tmp_path: Path
) -> None:
    engines = tmp_path / "engines" / "of-this-graph"
    open_session(msgspec.structs.replace(setup, engines=engines))
    assert seize(engines) is None
    assert (engines / onnxruntime.__version__).is_dir()


@pytest.mark.usefixtures("providers")
def test_nodes_that_fell_back_are_named_before_an_answer_is_given(
    setup: Setup, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CARD_PROVIDERS", {"cuda": "CPUExecutionProvider"})
    monkeypatch.setattr(module, "_PLACE", "cpu")
    session = open_on_card(setup)
    for _ in range(2):
        with pytest.raises(DeviceError, match=r"\d+ of \d+ nodes ran on the CPU and not on the ca"):
            session.run(["logits"], FEED)
        assert list(scratch.iterdir()) == []


@pytest.mark.usefixtures("providers")
@pytest.mark.parametrize(("provider", "said"), [("tensorrt", "0"), ("cuda", "1")])
def test_tensorrt_has_no_option_for_tf32_and_is_told_by_the_environment(
    setup: Setup, monkeypatch: pytest.MonkeyPatch, provider: str, said: str
) -> None:
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
    with pytest.raises(DeviceError):
        open_on_card(msgspec.structs.replace(setup, provider=provider))
    assert os.environ["NVIDIA_TF32_OVERRIDE"] == said


@pytest.mark.usefixtures("on_card")
def test_a_torn_model_is_one_here_too(
    setup: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_library_missing", lambda _: None)
    data = bytearray((setup.model.parent / "image.onnx").read_bytes())
    data[60:80] = b"\xff" * 20
    (tmp_path / "m.onnx").write_bytes(data)
    with pytest.raises((IntegrityError, RefusedInputError)):
        open_on_card(msgspec.structs.replace(setup, model=tmp_path / "m.onnx"))


def test_cuda_is_opened_with_options_that_every_process_repeats(setup: Setup) -> None:
    ((name, options),) = module._providers(setup)
    assert name == "CUDAExecutionProvider"
    assert options["use_tf32"] == "0"
    assert options["cudnn_conv_algo_search"] == "HEURISTIC"
    assert options["arena_extend_strategy"] == "kSameAsRequested"


def test_tensorrt_is_told_the_shapes_and_where_engines_are_kept(
    setup: Setup, tmp_path: Path
) -> None:
    profile = (
        InputRange(name="input_ids", least=(1, 1), usual=(8, 46), most=(8, 512)),
        InputRange(name="attention_mask", least=(1, 1), usual=(8, 46), most=(8, 512)),
    )
    told = msgspec.structs.replace(
        setup, provider="tensorrt", session=SessionOptions(profile=profile), engines=tmp_path
    )
    options = tensorrt_options(told)
    assert options["trt_profile_min_shapes"] == "input_ids:1x1,attention_mask:1x1"
    assert options["trt_profile_opt_shapes"] == "input_ids:8x46,attention_mask:8x46"
    assert options["trt_profile_max_shapes"] == "input_ids:8x512,attention_mask:8x512"
    assert options["trt_engine_cache_path"] == str(tmp_path / onnxruntime.__version__)
    # Either flag would let TensorRT choose precisions that the graph does not have.
    assert not {"trt_fp16_enable", "trt_int8_enable"} & set(options)
    assert [name for name, _ in module._providers(told)] == [
        "TensorrtExecutionProvider",
        "CUDAExecutionProvider",
    ]
    plain = tensorrt_options(msgspec.structs.replace(setup, provider="tensorrt"))
    assert plain == {"device_id": "0"}


def test_where_the_libraries_load_nothing_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        module, "ctypes", SimpleNamespace(CDLL=lambda *_, **__: None, RTLD_GLOBAL=0)
    )
    assert module._library_missing("cuda") is None


@pytest.mark.gpu
def test_a_card_does_the_work(setup: Setup) -> None:
    session = open_session(setup)
    here = open_session(msgspec.structs.replace(setup, provider="cpu"))
    there = session.run(["logits"], FEED)[0]
    assert np.allclose(there, here.run(["logits"], FEED)[0], atol=1e-4)
