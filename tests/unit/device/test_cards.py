"""What the doctor says of GPUs: a driver, cards, and what their lack prevents."""

import onnxruntime

from deployopt.core.diagnosis import State
from deployopt.device.cards import look_at_cards
from deployopt.device.gpu import GpuFound


def card(capability: str) -> GpuFound:
    return GpuFound(name="NVIDIA Card", memory_bytes=2**34, compute_capability=capability)


def test_no_driver_prevents_running_and_not_building() -> None:
    found = look_at_cards(lambda: "there is no NVIDIA driver", lambda: ())
    assert found.state is State.NOTE
    assert "no NVIDIA driver" in found.says
    assert "built here all the same" in found.says
    assert "none can be run or measured" in found.says


def test_a_card_that_engines_are_built_for() -> None:
    found = look_at_cards(lambda: None, lambda: (card("8.6"),), lambda: True)
    assert (found.state, found.says) == (State.GOOD, "NVIDIA Card (SM86)")


def test_a_card_that_they_are_not_built_for() -> None:
    found = look_at_cards(lambda: None, lambda: (card("8.6"), card("9.0")), lambda: True)
    assert found.state is State.GOOD
    assert "graphs for ONNX Runtime, and no engines, are built for 1 of them" in found.says


def test_a_card_and_the_runtime_for_cpus() -> None:
    found = look_at_cards(lambda: None, lambda: (card("8.6"),), lambda: False)
    assert found.state is State.WARNING
    assert "has no CUDA" in found.says
    assert found.mend.startswith("pip uninstall -y onnxruntime onnxruntime-gpu && pip install")


def test_the_runtime_itself_says_whether_it_has_cuda() -> None:
    found = look_at_cards(lambda: None, lambda: (card("8.6"),))
    cuda = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    assert found.state is (State.GOOD if cuda else State.WARNING)


def test_cards_that_cannot_be_named() -> None:
    assert look_at_cards(lambda: None, lambda: ()).mend == "pip install nvidia-ml-py"


def test_the_driver_is_asked_in_a_process_of_its_own() -> None:
    assert look_at_cards().topic == "gpu"
