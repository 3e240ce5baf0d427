"""Bound requests against plain ones, with this machine's memory in the card's place."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from deployopt.core.errors import DeviceError
from deployopt.core.samples import Array
from deployopt.device import card_binding as module
from deployopt.device.card_binding import Binding
from deployopt.device.onnxruntime_session import OnnxruntimeSession

CPU = ["CPUExecutionProvider"]


@pytest.fixture
def session(assets: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(assets / "text.onnx", providers=CPU)


def feed(length: int, seed: int = 0) -> dict[str, Array]:
    ids = np.random.default_rng(seed).integers(2, 10, (2, length))
    return {"input_ids": ids, "attention_mask": np.ones_like(ids)}


def test_answers_are_those_of_plain_requests(session: onnxruntime.InferenceSession) -> None:
    bound = Binding(session, "cpu")
    for seed, length in enumerate((3, 7, 3, 1)):
        given = feed(length, seed)
        kept = {name: array.copy() for name, array in given.items()}
        (found,) = bound.run(None, given)
        (wanted,) = session.run(None, given)
        assert np.array_equal(found, wanted)
        # The memory that is kept is not the caller's.
        assert all(np.array_equal(given[name], kept[name]) for name in given)
    assert bound.spent.copied_share is not None
    assert 0 < bound.spent.copied_share < 1


def test_an_answer_stays_as_it_was(session: onnxruntime.InferenceSession) -> None:
    bound = Binding(session, "cpu")
    (first,) = bound.run(["logits"], feed(4, 1))
    before = first.copy()
    bound.run(["logits"], feed(4, 2))
    assert np.array_equal(first, before)


def test_memory_is_kept_by_shape_and_not_without_end(
    session: onnxruntime.InferenceSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SHAPES_MAX", 4)
    bound = Binding(session, "cpu")
    for length in (1, 2, 1, 2):
        bound.run(None, feed(length))
    assert len(bound._held) == 4
    bound.run(None, feed(3))
    assert len(bound._held) <= 4


def test_input_that_is_not_laid_out_in_rows(session: onnxruntime.InferenceSession) -> None:
    bound = Binding(session, "cpu")
    wide = feed(6)
    strided = {name: array[:, ::2] for name, array in wide.items()}
    assert np.array_equal(bound.run(None, strided)[0], session.run(None, strided)[0])


def test_what_onnxruntime_says_of_a_wrong_request_is_ours(
    session: onnxruntime.InferenceSession,
) -> None:
    outer = OnnxruntimeSession(session, Binding(session, "cpu").run)
    for wrong in (
        {"input_ids": np.ones((1, 2), dtype=np.float32)},
        {"input_ids": np.ones((1, 2), dtype=np.int64), "other": np.ones(1)},
    ):
        with pytest.raises(DeviceError, match="onnxruntime failed on this input"):
            outer.run(None, wrong)
