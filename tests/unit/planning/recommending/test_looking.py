"""A model held against a target: memory, time, tokens, joules."""

from collections.abc import Callable

from deployopt.catalogue.models import find_entry
from deployopt.core.artifact import Precision
from deployopt.core.standing import Standing
from deployopt.core.tasks import ModelTask
from deployopt.planning.recommending.looking import look, needed
from deployopt.planning.recommending.wants import Wants

Ask = Callable[..., Wants]


def test_every_precision_is_looked_at(wants: Ask) -> None:
    found = look(find_entry("distilbert"), wants(), None)
    assert [f.precision for f in found.footings] == [Precision.FP32, Precision.INT8]
    assert found.at in found.footings
    assert found.refusal == ""
    assert found.at is not None
    assert {"latency_s", "latency_p95", "energy_j"} <= set(found.at.predicted)


def test_texts_are_written_token_by_token(wants: Ask) -> None:
    found = look(find_entry("qwen2.5-0.5b"), wants(ModelTask.TEXT_GENERATION, "rtx3060"), None)
    assert found.at is not None
    predicted = found.at.predicted
    whole = predicted["ttft_s"].value + 256 / predicted["decode_tps"].value
    assert predicted["latency_s"].value == whole


def test_speech_is_timed_by_its_window(wants: Ask) -> None:
    found = look(find_entry("whisper-tiny"), wants(ModelTask.SPEECH_RECOGNITION, "rpi5"), None)
    assert found.at is not None
    assert "latency_s" in found.at.predicted
    assert "decode_tps" not in found.at.predicted


def test_a_model_too_large_for_one_gpu_is_split(wants: Ask) -> None:
    asked = wants(ModelTask.TEXT_GENERATION, "a100x4")
    found = look(find_entry("qwen2.5-72b"), asked, None)
    assert found.at is not None
    assert found.at.devices == 4
    assert found.architecture is not None
    small = look(find_entry("qwen2.5-0.5b"), asked, None)
    assert small.architecture is not None
    assert needed(small.architecture, asked, Precision.BF16, 1)[1] == 1


def test_what_no_precision_fits_is_refused(wants: Ask) -> None:
    found = look(find_entry("qwen2.5-72b"), wants(ModelTask.TEXT_GENERATION, "rtx3060"), None)
    assert found.at is None
    assert all(f.standing is Standing.OUTSIDE for f in found.footings)
    assert found.refusal
