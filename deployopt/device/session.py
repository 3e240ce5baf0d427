"""A session that is opened the same way wherever a model is measured or used.

In: a Setup. Out: a session of its runtime, with its threads and no others, quiet. A runtime is
imported when a model asks for it, so that none is in the memory of another's measurement.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from deployopt.core.artifact import RuntimeName
from deployopt.core.card import CARD_PROVIDERS
from deployopt.core.samples import Array
from deployopt.device.drawing.files import is_pipeline
from deployopt.device.setup import Setup


class Named(Protocol):
    """An input or output of a graph."""

    name: str


class Session(Protocol):
    """What is used of a session."""

    def get_outputs(self) -> Sequence[Named]:
        """The graph's outputs, in order."""
        ...

    def run(
        self, output_names: Sequence[str] | None, input_feed: Mapping[str, Array]
    ) -> list[Array]:
        """Answer one request; raises DeviceError where the runtime fails on it."""
        ...


class Spent:
    """Where the time of a card's requests went, all of them since `clear` together."""

    def __init__(self) -> None:
        self.uncaptured = ""
        """Why requests of one shape cannot be launched as one CUDA graph, where that was tried."""
        self.clear()

    def clear(self) -> None:
        """Begin again: what a first request takes is of no other."""
        self._copied_s = self._worked_s = 0.0
        self._requests = self._captured = 0

    def add(self, copied_s: float, worked_s: float, *, captured: bool = False) -> None:
        """One more request, and whether its work was launched as one CUDA graph."""
        self._copied_s += copied_s
        self._worked_s += worked_s
        self._requests += 1
        self._captured += captured

    @property
    def copied_share(self) -> float | None:
        """Of the time, what copies to the card and back took; None before a request."""
        whole = self._copied_s + self._worked_s
        return self._copied_s / whole if whole > 0 else None

    @property
    def captured_share(self) -> float | None:
        """Of the requests, those launched as one CUDA graph each; None before a request."""
        return self._captured / self._requests if self._requests else None


def spent_of(session: Session) -> Spent:
    """Of a card's session its own; of any other one that stays empty."""
    found = getattr(session, "spent", None)
    return found if isinstance(found, Spent) else Spent()


def no_sign() -> None:
    """No one waits for signs of life."""


def open_session(setup: Setup, sign: Callable[[], None] = no_sign) -> Session:
    """Open the model; one whose requests take long calls `sign` now and then.

    Raises:
        IntegrityError: the model is newer than the runtime, or is not a model.
        RefusedInputError: a session entry that is not allowed.
        DeviceError: the runtime or its provider is not there, or it refuses.
    """
    if setup.runtime == "openvino":
        from deployopt.device.openvino_session import open_openvino

        return open_openvino(setup)
    if setup.runtime == "tensorrt-rtx":
        from deployopt.device.tensorrt_session import open_engine

        return open_engine(setup)
    if setup.runtime == "tensorrt":
        from deployopt.device.plan_session import open_plan

        return open_plan(setup)
    if is_pipeline(setup.model):
        from deployopt.device.drawing.session import open_drawing

        return open_drawing(setup, sign)
    if setup.provider in CARD_PROVIDERS:
        from deployopt.device.card_session import open_on_card

        return open_on_card(setup)
    from deployopt.device.onnxruntime_session import open_onnxruntime

    return open_onnxruntime(setup)


def import_runtime(runtime: RuntimeName) -> None:
    """Import what `open_session` needs, so that its time and memory are not the model's.

    Raises:
        DeviceError: it is not installed.
    """
    if runtime == "openvino":
        from deployopt.device.openvino_session import import_openvino

        import_openvino()
    elif runtime == "tensorrt-rtx":
        from deployopt.device.tensorrt_session import import_builder

        import_builder()
    elif runtime == "tensorrt":
        from deployopt.device.tensorrt_library import import_tensorrt

        import_tensorrt()
    else:
        import deployopt.device.onnxruntime_session  # noqa: F401
