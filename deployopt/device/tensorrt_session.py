"""An engine on the card that it was built for, through TensorRT for RTX or TensorRT itself.

In: a Setup whose model is an engine of a bundle, every byte of which was checked, with its listing
beside it; or a plan that was built here (plans.py). Out: a session. An engine is native code: it is
handed to the library only where the card's compute capability and the library's version are those
that it was built for. Refuses every other machine, and requests outside of the shapes that it was
built for.
"""

import importlib
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, Final

import msgspec
import numpy as np

from deployopt.core.codec import decode_json
from deployopt.core.engine import BUILDERS, LISTING_FILE, EngineListing, InputRange, sm_of
from deployopt.core.errors import DeviceError, UsageError
from deployopt.core.quiet import RTX_PACKAGE
from deployopt.core.samples import Array
from deployopt.device.cuda_driver import Cuda, CudaDriver, driver_missing
from deployopt.device.session import Spent
from deployopt.device.setup import Setup

_RTX: Final = BUILDERS["tensorrt-rtx"]
_TYPES: Final = {"fp32": np.float32, "fp16": np.float16, "int8": np.int8}


_BEGUN, _SENT, _WORKED, _FETCHED = range(4)
"""Marks of a request."""
_UNCAPTURED: Final = "the driver captures nothing of the engine"


class Tensor(msgspec.Struct, kw_only=True):
    """An output by name."""

    name: str


def open_engine(setup: Setup) -> "EngineSession":
    """Open it; raises DeviceError where this is not its card, or not its library."""
    path = setup.model.parent / LISTING_FILE
    listing = decode_json(path.read_bytes(), EngineListing, where=str(path))
    missing = driver_missing()
    if missing is not None:
        raise DeviceError(
            f"The model is an engine for NVIDIA {sm_of(listing.options.compute_capability)} cards, "
            f"built without one, and it has not run yet; it cannot be opened here: {missing}. Copy "
            "the bundle to a machine with such a card."
        )
    library = import_builder(listing)
    card = CudaDriver()
    require_card(listing, card.compute_capability)
    engine = deserialized(library, setup.model.read_bytes(), _RTX.name)
    return EngineSession(engine, listing, card, setup.outputs)


def import_builder(listing: EngineListing | None = None) -> ModuleType:
    """The library, in the version of the listing; raises DeviceError where it is not there."""
    wanted = "" if listing is None else f"=={listing.version}"
    try:
        library = importlib.import_module(_RTX.module)
    except ImportError as error:
        raise DeviceError(
            "The model is an engine of TensorRT for RTX, which is not installed here. Install it "
            f"with: pip install '{RTX_PACKAGE}{wanted}'"
        ) from error
    if listing is not None and library.__version__ != listing.version:
        raise DeviceError(
            f"The engine was built by TensorRT for RTX {listing.version} and is opened by no other "
            f"version; {library.__version__} is installed. Install that one: pip install "
            f"'{RTX_PACKAGE}{wanted}'"
        )
    return library


def require_card(listing: EngineListing, capability: str) -> None:
    """Raise DeviceError where the engine is for other cards."""
    built = listing.options.compute_capability
    if capability != built:
        raise DeviceError(
            f"The engine was built for {sm_of(built)}, and this card is {sm_of(capability)}. Build "
            "for a target with this card."
        )


def require_inside(ranges: Sequence[InputRange], feed: Mapping[str, Array]) -> None:
    """Raise UsageError where a request is larger or smaller than the engine was built for."""
    for one in ranges:
        shape = feed[one.name].shape if one.name in feed else ()
        sizes = zip(one.least, shape, one.most, strict=False)
        if len(shape) != len(one.least) or not all(low <= n <= high for low, n, high in sizes):
            shown = [" x ".join(map(str, sizes)) for sizes in (shape, one.least, one.most)]
            raise UsageError(
                f"The input {one.name!r} is {shown[0]}, and the engine was built for {shown[1]} to "
                f"{shown[2]}. Build it again with a workload that has such requests."
            )


class _Buffer(msgspec.Struct):
    """A tensor's place on the card, and pinned bytes here, both of so many."""

    address: int
    host: Array
    size: int


class EngineSession:
    """An open engine; not for several threads at once.

    Copies go by pinned memory on the stream that works, so that a request waits once. Where every
    shape is fixed, what the engine launches is captured after the first request and launched as one
    CUDA graph from then on.
    """

    def __init__(
        self,
        engine: Any,  # noqa: ANN401 -- of a native library
        listing: EngineListing,
        card: Cuda,
        outputs: Sequence[str],
    ) -> None:
        self._context = engine.create_execution_context()
        if self._context is None:
            raise DeviceError("The engine cannot be opened: the card has too little free memory.")
        self._engine = engine
        self._listing = listing
        self._card = card
        self._asked = tuple(outputs) or tuple(one.name for one in listing.outputs)
        self._held: dict[str, _Buffer] = {}
        self._fixed = all(size >= 0 for one in listing.inputs for size in one.shape)
        self._graph: int | None = None
        self.spent = Spent()

    def get_outputs(self) -> Sequence[Tensor]:
        """The outputs that are asked for, in order."""
        return [Tensor(name=name) for name in self._asked]

    def run(
        self, output_names: Sequence[str] | None, input_feed: Mapping[str, Array]
    ) -> list[Array]:
        """Answer one request.

        Raises:
            UsageError: its shapes are not those that the engine was built for.
            DeviceError: the card failed.
        """
        require_inside(self._listing.options.profile, input_feed)
        card = self._card
        card.mark(_BEGUN)
        for one in self._listing.inputs:
            values = np.ascontiguousarray(input_feed[one.name], dtype=_dtype(one.dtype))
            self._context.set_input_shape(one.name, values.shape)
            place = self._place(one.name, values.nbytes)
            given = place.host[: values.nbytes]
            given.view(values.dtype)[...] = values.ravel()
            card.send(place.address, given)
        answers: dict[str, Array] = {}
        for one in self._listing.outputs:
            shape = tuple(int(size) for size in self._context.get_tensor_shape(one.name))
            answers[one.name] = np.empty(shape, dtype=_dtype(one.dtype))
            self._place(one.name, answers[one.name].nbytes)
        card.mark(_SENT)
        self._work()
        card.mark(_WORKED)
        for name, values in answers.items():
            card.fetch(self._held[name].host[: values.nbytes], self._held[name].address)
        card.mark(_FETCHED)
        card.wait()
        for name, values in answers.items():
            values.ravel()[...] = self._held[name].host[: values.nbytes].view(values.dtype)
        copied_s = card.between_s(_BEGUN, _SENT) + card.between_s(_WORKED, _FETCHED)
        worked_s = card.between_s(_SENT, _WORKED)
        self.spent.add(copied_s, worked_s, captured=self._graph is not None)
        self._capture()
        return [answers[name] for name in output_names or self._asked]

    def _work(self) -> None:
        if self._graph is not None:
            self._card.launch(self._graph)
        elif not self._execute():
            raise DeviceError("The engine failed on a request.")

    def _execute(self) -> bool:
        return bool(self._context.execute_async_v3(self._card.stream))

    def _capture(self) -> None:
        """After the first request, which allocates; what cannot be captured is begun as before."""
        if self._fixed:
            self._graph = self._card.captured(self._execute)
            self.spent.uncaptured = _UNCAPTURED if self._graph is None else ""
            self._fixed = False

    def _place(self, name: str, size: int) -> _Buffer:
        """A tensor's memory, kept for the next request where it is large enough."""
        held = self._held.get(name)
        if held is None or size > held.size:
            if held is not None:
                self._card.free(held.address)
                self._card.unpin(held.host)
            held = _Buffer(self._card.allocate(size), self._card.pinned(size), size)
            self._held[name] = held
            self._context.set_tensor_address(name, held.address)
        return held


def deserialized(library: ModuleType, engine: bytes, name: str) -> Any:  # noqa: ANN401 -- native
    """The engine by the library of this name, without code for the host in it.

    Raises:
        DeviceError: the library does not take it.
    """
    runtime = library.Runtime(library.Logger(library.Logger.ERROR))
    runtime.engine_host_code_allowed = False
    opened = runtime.deserialize_cuda_engine(engine)
    if opened is None:
        raise DeviceError(
            f"{name} does not open the engine, though card and version are its own. Build it "
            "again, or look at the driver's version."
        )
    return opened


def _dtype(name: str) -> "np.dtype[Any]":
    return np.dtype(_TYPES.get(name, name))
