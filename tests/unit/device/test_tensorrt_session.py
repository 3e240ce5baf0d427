"""An engine is opened on its own card by its own version only; requests stay inside its shapes.

There is no card here: the flow of a request is tried on stand-ins.
"""

from pathlib import Path
from types import ModuleType, SimpleNamespace

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
    """Its memory is a dictionary; it stands for the driver."""

    compute_capability = "8.6"
    stream = 7

    def __init__(self) -> None:
        self.memory: dict[int, Array] = {}
        self.freed: list[int] = []
        self.waited = 0
        self._next = 100

    def allocate(self, size: int) -> int:
        assert size > 0
        self._next += 1
        return self._next

    def free(self, address: int) -> None:
        self.freed.append(address)

    def send(self, address: int, values: Array) -> None:
        self.memory[address] = values.copy()

    def fetch(self, values: Array, address: int) -> None:
        values[...] = self.memory[address]

    def wait(self) -> None:
        self.waited += 1


class Context:
    """An engine that gives the sum of each row."""

    def __init__(self, card: Card) -> None:
        self._card = card
        self._shape: tuple[int, ...] = ()
        self._places: dict[str, int] = {}

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
        given = self._card.memory[self._places["x"]]
        self._card.memory[self._places["y"]] = given.sum(axis=1, keepdims=True)
        return True


def test_a_request_goes_to_the_card_and_comes_back() -> None:
    card = Card()
    session = EngineSession(Context(card), LISTING, card, ())
    assert [one.name for one in session.get_outputs()] == ["y"]
    for shape in ((1, 4), (4, 8), (2, 3)):
        given = np.arange(np.prod(shape), dtype=np.float64).reshape(shape)
        (found,) = session.run(None, {"x": given})
        assert found.dtype == np.float32
        assert np.array_equal(found[:, 0], given.sum(axis=1))
    assert card.waited == 3
    # Memory grows with the largest request and is used again.
    assert len(card.freed) == 2
