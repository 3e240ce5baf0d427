"""What cannot be calibrated is refused before anything runs."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from deployopt.core.artifact import Artifact, Format, Precision
from deployopt.core.errors import MissingExtraError, StepError
from deployopt.core.interface import Interface, PromptInputs, Task
from deployopt.core.recipe import StepContext
from deployopt.core.samples import encode_samples
from deployopt.steps import calibrate
from deployopt.steps.calibrate import CalibrateDecoder
from tests.fakes.chat import write_tiny_llama

CHAT = Interface(
    task=Task.TEXT_GENERATION, inputs=PromptInputs(context=512, chat=True), outputs=("logits",)
)


@pytest.fixture
def model(tmp_path: Path) -> Artifact:
    folder = write_tiny_llama(tmp_path / "m")
    return Artifact(format=Format.TRANSFORMERS, folder=folder, entry="config.json", digest="d")


@pytest.fixture
def reading(
    tmp_path: Path, context: Callable[[], StepContext], monkeypatch: pytest.MonkeyPatch
) -> StepContext:
    monkeypatch.setattr(calibrate, "need_packages", lambda *_names: None)
    monkeypatch.setattr(calibrate, "find_spec", lambda _name: object())
    path = tmp_path / "documents.npz"
    path.write_bytes(encode_samples([]))
    return msgspec.structs.replace(context(), interface=CHAT, samples=path)


def test_a_language_model_with_documents_may_be_calibrated(
    model: Artifact, reading: StepContext
) -> None:
    CalibrateDecoder().requires(model, reading)


def test_what_cannot_be_calibrated_is_refused(
    model: Artifact,
    reading: StepContext,
    float_graph: Artifact,
    context: Callable[[], StepContext],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    step = CalibrateDecoder()
    with pytest.raises(StepError, match="takes a model in transformers form"):
        step.requires(float_graph, reading)
    small = msgspec.structs.replace(model, precision=Precision.INT4)
    with pytest.raises(StepError, match="quantized already"):
        step.requires(small, reading)
    with pytest.raises(StepError, match="goes on with a text"):
        step.requires(model, context())
    with pytest.raises(StepError, match="calibrates on real inputs and none were given"):
        step.requires(model, msgspec.structs.replace(reading, samples=None))
    monkeypatch.setattr(calibrate, "find_spec", lambda _name: None)
    with pytest.raises(MissingExtraError, match=r"deployopt\[calibrate\]"):
        step.requires(model, reading)


@pytest.mark.parametrize(
    "step",
    [
        CalibrateDecoder(block_size=48),
        CalibrateDecoder(eight=1.0),
        CalibrateDecoder(eight=-0.1),
        CalibrateDecoder(damping=0.0),
    ],
)
def test_options_out_of_range_are_named(
    model: Artifact, reading: StepContext, step: CalibrateDecoder
) -> None:
    with pytest.raises(StepError, match="takes blocks of 16, 32, 64, 128, a share"):
        step.requires(model, reading)
