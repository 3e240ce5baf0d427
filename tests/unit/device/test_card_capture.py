"""Requests of one shape are asked of memory that stays; others, and what is uncapturable, beside.

There is no card here, and nothing is captured: ONNX Runtime itself answers, on the CPU, whose
memory is in the card's place.
"""

import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnxruntime
import pytest
from onnxruntime.capi import onnxruntime_pybind11_state as state

from deployopt.core.artifact import SessionOptions
from deployopt.core.card import CARD_PROVIDERS
from deployopt.core.card_options import CAPTURE, UNCAPTURED, capture_options
from deployopt.core.errors import DeviceError, IntegrityError, RefusedInputError
from deployopt.core.samples import Array
from deployopt.device import card_session as opening
from deployopt.device import placement
from deployopt.device.card_capture import CapturingSession, Graph
from deployopt.device.card_session import CardSession, open_on_card
from deployopt.device.session import open_session, spent_of
from deployopt.device.setup import Setup

REFUSED = "This session cannot use the graph capture feature: the model has control flow nodes"


class Seen:
    """What ONNX Runtime was asked."""

    def __init__(self) -> None:
        self.sessions: list[weakref.ref[Any]] = []
        self.captures: list[bool] = []
        self.graph_ids: list[str | None] = []


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """The CPU's provider as if it were a card's; what is asked of it is written down."""
    found = Seen()
    real, real_run = onnxruntime.InferenceSession, onnxruntime.InferenceSession.run_with_iobinding

    def opened(path: str, options: Any, *, providers: Any, **more: Any) -> Any:
        if isinstance(providers[0], str):
            return real(path, options, providers=providers, **more)
        ((name, given),) = providers
        found.captures.append(CAPTURE["cuda"] in given)
        session = real(path, options, providers=[name], **more)
        found.sessions.append(weakref.ref(session))
        return session

    def run(self: Any, bound: Any, options: Any = None) -> None:
        told = None if options is None else options.get_run_config_entry(UNCAPTURED[0])
        found.graph_ids.append(told)
        real_run(self, bound, options)

    there = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(opening, "driver_missing", lambda: None)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: there)
    monkeypatch.setattr(opening, "_providers", _cpu)
    monkeypatch.setattr(opening, "CARD_PROVIDERS", {"cuda": "CPUExecutionProvider"})
    monkeypatch.setattr(opening, "_PLACE", "cpu")
    monkeypatch.setattr(opening, "_library_missing", lambda _: None)
    monkeypatch.setattr(placement, "CPU", "the other one")
    monkeypatch.setattr(real, "run_with_iobinding", run)
    monkeypatch.setattr(onnxruntime, "InferenceSession", opened)
    return found


def _cpu(setup: Setup) -> list[tuple[str, dict[str, str]]]:
    return [("CPUExecutionProvider", capture_options("cuda", setup.session))]


@pytest.fixture
def setup(text_setup: Setup) -> Setup:
    return msgspec.structs.replace(
        text_setup, provider="cuda", session=SessionOptions(capture=True)
    )


def feed(length: int, seed: int = 0, rows: int = 1) -> dict[str, Array]:
    ids = np.random.default_rng(seed).integers(2, 10, (rows, length))
    return {"input_ids": ids, "attention_mask": np.ones_like(ids)}


@pytest.fixture
def plainly(text_setup: Setup) -> Callable[[dict[str, Array]], Array]:
    session = open_session(text_setup)
    return lambda given: session.run(["logits"], given)[0]


def test_requests_of_one_shape_are_asked_of_memory_that_stays(
    setup: Setup, seen: Seen, plainly: Callable[[dict[str, Array]], Array]
) -> None:
    session = open_session(setup)
    assert isinstance(session, CapturingSession)
    spent = spent_of(session)
    answers = [session.run(["logits"], feed(5, seed))[0] for seed in range(4)]
    for seed, answer in enumerate(answers):
        assert np.allclose(answer, plainly(feed(5, seed)), atol=1e-6)
    assert len({answer.tobytes() for answer in answers}) == 4
    # The first one is recorded without, and asked again; ONNX Runtime captures what it is not told
    # to leave out.
    assert seen.graph_ids == ["-1", None, None, None, None]
    assert seen.captures == [True]
    assert spent.captured_share == 4 / 5
    assert spent.copied_share is not None
    assert 0 < spent.copied_share < 1
    spent.clear()
    session.run(None, feed(5))
    assert (spent.captured_share, spent.uncaptured) == (1.0, "")


def test_the_memory_is_not_the_callers(setup: Setup, seen: Seen) -> None:
    session = open_session(setup)
    assert seen.captures == [True]
    session.run(None, feed(3))
    given = feed(3, 1)
    (first,) = session.run(None, given)
    before = first.copy()
    kept = {name: array.copy() for name, array in given.items()}
    session.run(None, feed(3, 2))
    assert np.array_equal(first, before)
    assert all(np.array_equal(given[name], kept[name]) for name in given)


def test_another_shape_is_answered_by_a_session_that_captures_nothing(
    setup: Setup, seen: Seen, plainly: Callable[[dict[str, Array]], Array]
) -> None:
    session = open_session(setup)
    for number, given in enumerate((feed(5), feed(4, 1), feed(5, 2), feed(4, 3), feed(5, 4, 2))):
        (found,) = session.run(None, given)
        assert np.allclose(found, plainly(given), atol=1e-6), number
    assert seen.captures == [True, False]
    assert seen.graph_ids == ["-1", None, None, None, None, None]
    assert spent_of(session).captured_share == 2 / 6


def test_a_request_of_another_type_is_not_taken_for_what_was_captured(
    setup: Setup, seen: Seen
) -> None:
    session = open_session(setup)
    session.run(None, feed(5))
    wrong = {name: array.astype(np.float32) for name, array in feed(5).items()}
    for given in (wrong, {"input_ids": feed(5)["input_ids"]}, feed(5) | {"other": np.ones(1)}):
        with pytest.raises(DeviceError, match="onnxruntime failed on this input"):
            session.run(None, given)
    assert seen.captures == [True, False]


def test_the_outputs_that_are_asked_for(text_setup: Setup, seen: Seen, assets: Path) -> None:
    setup = msgspec.structs.replace(
        text_setup,
        provider="cuda",
        model=assets / "text.onnx",
        session=SessionOptions(capture=True),
    )
    session = open_session(setup)
    named = [one.name for one in session.get_outputs()]
    assert [len(session.run(names, feed(5))) for names in (named, None, named[:1])] == [1, 1, 1]
    assert seen.captures == [True]


def test_what_onnx_runtime_refuses_to_capture_is_opened_without(
    setup: Setup, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = onnxruntime.InferenceSession

    def refusing(path: str, options: Any, *, providers: Any, **more: Any) -> Any:
        if CAPTURE["cuda"] in providers[0][1]:
            raise state.Fail(REFUSED)
        return opened(path, options, providers=providers, **more)

    monkeypatch.setattr(onnxruntime, "InferenceSession", refusing)
    session = open_session(setup)
    assert isinstance(session, CardSession)
    session.run(None, feed(5))
    session.run(None, feed(5))
    assert session.spent.captured_share == 0
    assert "control flow nodes" in session.spent.uncaptured
    assert seen.graph_ids == [None, None]


@pytest.mark.parametrize("where", ["__init__", "launch"])
def test_what_cannot_be_captured_goes_on_without_and_is_said(
    setup: Setup, seen: Seen, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def fails(*_: object) -> None:
        raise state.Fail("CUDA error 900: operation not permitted when stream is capturing")

    alive: list[bool] = []
    real = open_on_card.__globals__["_recorded"]

    def recorded(*given: object) -> CardSession:
        gc.collect()
        alive.extend(one() is not None for one in seen.sessions)
        found: CardSession = real(*given)
        return found

    session = open_session(setup)
    monkeypatch.setattr(Graph, where, fails)
    monkeypatch.setattr(opening, "_recorded", recorded)
    first = session.run(["logits"], feed(5))[0]
    # The card's memory is not had twice: what failed is gone before the other one is opened.
    assert alive == [False]
    assert np.allclose(session.run(["logits"], feed(5))[0], first, atol=1e-6)
    assert seen.captures == [True, False]
    spent = spent_of(session)
    assert spent.captured_share == 0
    assert spent.uncaptured.endswith("operation not permitted when stream is capturing")


def test_nodes_that_fell_back_are_no_reason_to_go_on(
    setup: Setup, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placement, "CPU", "CPUExecutionProvider")
    session = open_session(setup)
    for _ in range(2):
        with pytest.raises(DeviceError, match="ran on the CPU and not on the card"):
            session.run(None, feed(5))
    assert seen.captures == [True]


def test_a_model_that_cannot_be_opened_is_no_matter_of_capturing(
    setup: Setup, seen: Seen, tmp_path: Path
) -> None:
    torn = setup.model.read_bytes()
    (tmp_path / "m.onnx").write_bytes(torn[:-400])
    with pytest.raises(RefusedInputError):
        open_on_card(msgspec.structs.replace(setup, model=tmp_path / "m.onnx"))
    assert seen.captures == []
    later = msgspec.structs.replace(setup, model=setup.model.parent / "future.onnx")
    with pytest.raises(IntegrityError, match="reads up to"):
        open_on_card(later)
    assert seen.captures == [True, False]


@pytest.mark.gpu
@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_card_launches_requests_of_one_shape_as_one(
    text_setup: Setup, assets: Path, provider: str
) -> None:
    if CARD_PROVIDERS[provider] not in onnxruntime.get_available_providers():
        pytest.skip(f"this onnxruntime has no {provider}")
    plain = msgspec.structs.replace(text_setup, model=assets / "image.onnx", outputs=())
    here = open_session(plain)
    told = msgspec.structs.replace(plain, provider=provider, session=SessionOptions(capture=True))
    session = open_session(told)
    assert isinstance(session, CapturingSession)
    draw = np.random.default_rng(0)
    for rows in (2, 2, 2, 2, 1, 2, 1):
        given = {"pixels": draw.normal(size=(rows, 3, 16, 16)).astype(np.float32)}
        assert np.allclose(session.run(None, given)[0], here.run(None, given)[0], atol=1e-4)
    assert session.spent.uncaptured == ""
    assert session.spent.captured_share == pytest.approx(5 / 8)
