"""An engine is opened on its own card by its own version only; requests stay inside its shapes.

There is no card here: the flow of a request is tried on stand-ins.
"""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import msgspec
import numpy as np
import pytest

from deployopt.core.codec import encode_json
from deployopt.core.engine import (
    LISTING_FILE,
    EngineListing,
    EngineOptions,
    EngineTensor,
    InputRange,
)
from deployopt.core.errors import DeviceError, UsageError
from deployopt.core.samples import Array
from deployopt.device import tensorrt_session as module
from deployopt.device.setup import Setup
from deployopt.device.tensorrt_session import (
    EngineSession,
    deserialized,
    import_builder,
    open_engine,
    require_card,
    require_inside,
)

RANGE = InputRange(name="x", least=(1, 2), usual=(1, 4), most=(4, 8))
LISTING = EngineListing(
    builder="tensorrt-rtx-cu13",
    version="1.7.1.116",
    options=EngineOptions(
        compute_capability="8.6", platform="x86_64", profile=(RANGE,), workspace_bytes=2**30
    ),
    engine_bytes=9,
    inputs=(EngineTensor(name="x", dtype="fp32", shape=(-1, -1)),),
    outputs=(EngineTensor(name="y", dtype="fp32", shape=(-1, 1)),),
)


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    (tmp_path / LISTING_FILE).write_bytes(encode_json(LISTING))
    return Setup(artifact="d", model=tmp_path / "model.engine", threads=1, runtime="tensorrt-rtx")


def test_without_a_driver_nothing_is_opened(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "driver_missing", lambda: "there is no driver")
    with pytest.raises(DeviceError, match=r"SM86 cards.*has not run yet.*there is no driver"):
        open_engine(setup)


def test_another_card_is_refused() -> None:
    require_card(LISTING, "8.6")
    with pytest.raises(DeviceError, match="built for SM86, and this card is SM80"):
        require_card(LISTING, "8.0")


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    other = SimpleNamespace(__version__="1.8.0.1")
    monkeypatch.setattr("importlib.import_module", lambda _: other)
    with pytest.raises(DeviceError, match=r"no other version; 1\.8.*cu13==1\.7\.1\.116"):
        import_builder(LISTING)


def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> None:
        raise ImportError

    monkeypatch.setattr("importlib.import_module", missing)
    with pytest.raises(DeviceError, match=r"pip install 'tensorrt-rtx-cu13==1\.7\.1\.116'"):
        import_builder(LISTING)


class Library(ModuleType):
    """It records what it was asked to open, and with which leave."""

    class Logger:
        """It says nothing."""

        ERROR = 1

        def __init__(self, level: int) -> None:
            assert level == self.ERROR

    def __init__(self, opened: object) -> None:
        super().__init__("tensorrt")
        self.opened = opened
        self.runtime = SimpleNamespace(engine_host_code_allowed=True)
        self.runtime.deserialize_cuda_engine = self._deserialize
        self.seen: list[tuple[bytes, bool]] = []

    def Runtime(self, _logger: object) -> SimpleNamespace:  # noqa: N802 -- the library's own name
        return self.runtime

    def _deserialize(self, engine: bytes) -> object:
        self.seen.append((engine, self.runtime.engine_host_code_allowed))
        return self.opened


def test_no_engine_brings_code_for_the_host() -> None:
    library = Library(opened="engine")
    assert deserialized(library, b"plan", "TensorRT") == "engine"
    assert library.seen == [(b"plan", False)]
    with pytest.raises(DeviceError, match="TensorRT does not open the engine"):
        deserialized(Library(opened=None), b"plan", "TensorRT")


@pytest.mark.parametrize("shape", [(1, 1), (5, 4), (1, 9), (4,), (1, 4, 1)])
def test_a_request_outside_of_the_shapes_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="the engine was built for 1 x 2 to 4 x 8"):
        require_inside((RANGE,), {"x": np.zeros(shape, dtype=np.float32)})
    require_inside((RANGE,), {"x": np.zeros((4, 8), dtype=np.float32)})


class Card:
    """It stands for the driver: what is begun is done when somebody waits, and not before."""

    compute_capability = "8.6"
    stream = 7

    def __init__(self, *, captures: bool = True) -> None:
        self.memory: dict[int, Array] = {}
        self.freed: list[int] = []
        self.unpinned = 0
        self.waited = 0
        self.launched = 0
        self._captures = captures
        self._next = 100
        self._begun: list[Callable[[], None]] = []
        self._graphs: dict[int, list[Callable[[], None]]] = {}
        self._clock = 0.0
        self._marks: dict[int, float] = {}

    def allocate(self, size: int) -> int:
        assert size > 0
        self._next += 1
        self.memory[self._next] = np.zeros(size, dtype=np.uint8)
        return self._next

    def free(self, address: int) -> None:
        self.freed.append(address)
        del self.memory[address]

    def pinned(self, size: int) -> Array:
        return np.zeros(size, dtype=np.uint8)

    def unpin(self, host: Array) -> None:
        assert host.dtype == np.uint8
        self.unpinned += 1

    def begin(self, work: Callable[[], None], seconds: float = 0.0) -> None:
        def done() -> None:
            work()
            self._clock += seconds

        self._begun.append(done)

    def send(self, address: int, host: Array) -> None:
        def copy() -> None:
            self.memory[address][: host.nbytes] = host

        self.begin(copy, 0.25)

    def fetch(self, host: Array, address: int) -> None:
        def copy() -> None:
            host[...] = self.memory[address][: host.nbytes]

        self.begin(copy, 0.25)

    def mark(self, number: int) -> None:
        self.begin(lambda: self._marks.update({number: self._clock}))

    def between_s(self, first: int, second: int) -> float:
        return self._marks[second] - self._marks[first]

    def captured(self, work: Callable[[], bool]) -> int | None:
        before, self._begun = self._begun, []
        taken = work() and self._captures
        graph, self._begun = self._begun, before
        if not taken:
            return None
        self._graphs[1] = graph
        return 1

    def launch(self, graph: int) -> None:
        self.launched += 1
        self._begun += self._graphs[graph]

    def wait(self) -> None:
        self.waited += 1
        for work in self._begun:
            work()
        self._begun = []


class Context:
    """An engine that gives the sum of each row."""

    def __init__(self, card: Card) -> None:
        self._card = card
        self._shape: tuple[int, ...] = ()
        self._places: dict[str, int] = {}
        self.executed = 0

    def create_execution_context(self) -> "Context":
        return self

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> None:
        assert name == "x"
        self._shape = shape

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self._shape if name == "x" else (self._shape[0], 1)

    def set_tensor_address(self, name: str, address: int) -> None:
        self._places[name] = address

    def execute_async_v3(self, stream: int) -> bool:
        assert stream == self._card.stream
        self.executed += 1
        places, shape = dict(self._places), self._shape

        def work() -> None:
            size = 4 * shape[0] * shape[1]
            given = self._card.memory[places["x"]][:size].view(np.float32).reshape(shape)
            answer = given.sum(axis=1).view(np.uint8)
            self._card.memory[places["y"]][: answer.nbytes] = answer

        self._card.begin(work, 1.5)
        return True


def asked(session: EngineSession, shape: tuple[int, ...], seed: int = 0) -> None:
    given = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    (found,) = session.run(None, {"x": given})
    assert found.dtype == np.float32
    assert np.allclose(found[:, 0], given.sum(axis=1), atol=1e-5)


def test_a_request_goes_to_the_card_and_comes_back() -> None:
    card = Card()
    session = EngineSession(Context(card), LISTING, card, ())
    assert [one.name for one in session.get_outputs()] == ["y"]
    assert session.spent.copied_share is None
    for seed, shape in enumerate(((1, 4), (4, 8), (2, 3), (1, 4))):
        asked(session, shape, seed)
    assert card.waited == 4
    # Memory grows with the largest request and is used again.
    assert len(card.freed) == card.unpinned == 2
    assert session.spent.copied_share == pytest.approx(0.5 / 2.0)
    session.spent.clear()
    assert session.spent.copied_share is None
    # Shapes that change are not captured.
    assert card.launched == 0


def test_what_an_answer_holds_is_its_own() -> None:
    card = Card()
    session = EngineSession(Context(card), LISTING, card, ())
    (first,) = session.run(None, {"x": np.ones((2, 4), dtype=np.float32)})
    session.run(None, {"x": np.zeros((2, 4), dtype=np.float32)})
    assert np.array_equal(first, [[4.0], [4.0]])


FIXED = msgspec.structs.replace(
    LISTING,
    options=msgspec.structs.replace(LISTING.options, profile=()),
    inputs=(EngineTensor(name="x", dtype="fp32", shape=(2, 4)),),
)


def test_with_fixed_shapes_the_work_is_launched_as_one() -> None:
    card = Card()
    context = Context(card)
    session = EngineSession(context, FIXED, card, ())
    for seed in range(5):
        asked(session, (2, 4), seed)
    # Once for the first request, and once to be captured.
    assert (context.executed, card.launched) == (2, 4)
    assert (session.spent.captured_share, session.spent.uncaptured) == (0.8, "")


def test_what_cannot_be_captured_is_begun_each_time() -> None:
    card = Card(captures=False)
    context = Context(card)
    session = EngineSession(context, FIXED, card, ())
    for seed in range(5):
        asked(session, (2, 4), seed)
    assert (context.executed, card.launched) == (6, 0)
    assert session.spent.captured_share == 0
    assert session.spent.uncaptured == "the driver captures nothing of the engine"


class Failing(Context):
    """An engine that begins nothing."""

    def execute_async_v3(self, stream: int) -> bool:
        assert stream == self._card.stream
        return False


def test_an_engine_that_fails_is_told() -> None:
    card = Card()
    session = EngineSession(Failing(card), LISTING, card, ())
    with pytest.raises(DeviceError, match="failed on a request"):
        session.run(None, {"x": np.ones((1, 4), dtype=np.float32)})
