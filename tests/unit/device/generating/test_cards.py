"""A language model for a card is opened there and nowhere else; falling back is an error.

There is no card here: the way to it is walked on stand-ins.
"""

import json
from types import SimpleNamespace

import msgspec
import pytest

from deployopt.core.errors import DeviceError
from deployopt.device.generating import cards
from deployopt.device.generating.cards import require_card, require_cuda, require_on_card
from deployopt.device.generating.decoder import open_decoder
from deployopt.device.setup import Setup


@pytest.fixture
def for_card(tiny: Setup) -> Setup:
    config = json.loads(tiny.model.read_bytes())
    options = config["model"]["decoder"].setdefault("session_options", {})
    options["provider_options"] = [{"cuda": {"enable_cuda_graph": "0"}}]
    tiny.model.write_text(json.dumps(config))
    return msgspec.structs.replace(tiny, provider="cuda")


def test_without_a_driver_nothing_is_opened(
    for_card: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cards, "driver_missing", lambda: "there is no driver")
    with pytest.raises(DeviceError, match=r"has not run yet; .*: there is no driver\. Copy"):
        open_decoder(for_card, stops=False)


def test_a_runtime_without_cuda_is_told_from_one_that_has_it(
    for_card: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a driver there, this machine's own runtime, which has no CUDA, is refused."""
    monkeypatch.setattr(cards, "driver_missing", lambda: None)
    with pytest.raises(DeviceError, match=r"pip install 'onnxruntime-genai-cuda>=0\.18"):
        open_decoder(for_card, stops=False)
    require_cuda(SimpleNamespace(is_cuda_available=lambda: True))
    require_card()


def test_a_model_for_a_card_is_not_opened_on_the_cpu(for_card: Setup) -> None:
    with pytest.raises(DeviceError, match="for the provider cuda, and the target asks for 'cpu'"):
        open_decoder(msgspec.structs.replace(for_card, provider="cpu"), stops=False)


def test_a_model_that_fell_back_is_refused(
    for_card: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that comes before says yes, and the runtime opens it on the CPU all the same."""
    import onnxruntime_genai

    class Forgetful(onnxruntime_genai.Config):  # type: ignore[misc]
        def __init__(self, folder: str) -> None:
            super().__init__(folder)
            self.clear_providers()

    monkeypatch.setattr(cards, "driver_missing", lambda: None)
    monkeypatch.setattr(onnxruntime_genai, "is_cuda_available", lambda: True)
    monkeypatch.setattr(onnxruntime_genai, "Config", Forgetful)
    with pytest.raises(DeviceError, match="has opened the model on CPU and not on the card"):
        open_decoder(for_card, stops=False)
    require_on_card(SimpleNamespace(device_type="CUDA"))
