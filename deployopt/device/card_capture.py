"""Requests of one shape in ONNX Runtime on a card, launched as one CUDA graph each.

In: a session that was opened to capture, and its first request, which was recorded and answered
without. Out: answers. Captured is what that request launches when it is asked again, with inputs
and outputs at addresses that stay. A request of another shape is answered by a second session that
captures nothing, and so is every one where nothing can be captured. Refuses nothing of its own.

ONNX Runtime keeps what it captured with the thread that asked, works the request out beforehand for
the memory that it takes, and looks at neither names nor shapes of what comes afterwards.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import numpy as np
import onnxruntime

from deployopt.core.errors import DeviceError
from deployopt.core.samples import Array
from deployopt.core.text import safe_text
from deployopt.device.onnxruntime_session import ort_errors
from deployopt.device.session import Named, Session, Spent

_S: Final = 1e-9
WORDS: Final = 300
"""Characters of why nothing is captured."""


class Recorded(Protocol):
    """A session whose first request shows where every node ran; it captures when it is told."""

    spent: Spent

    def get_outputs(self) -> Sequence[Named]:
        """The graph's outputs, in order."""
        ...

    def run(
        self, output_names: Sequence[str] | None, input_feed: Mapping[str, Array]
    ) -> list[Array]:
        """Answer one request, kernel by kernel."""
        ...

    def captured(self, feed: Mapping[str, Array], answers: Sequence[Array]) -> "Graph":
        """What this request launches, by its answers; raises DeviceError where it cannot be."""
        ...


class Graph:
    """What a request of one shape launches, and where that reads and writes."""

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        place: str,
        feed: Mapping[str, Array],
        answers: Sequence[Array],
    ) -> None:
        self._shapes = _shapes(feed)
        self._inputs = {name: _room(array, place) for name, array in feed.items()}
        names = [one.name for one in session.get_outputs()]
        self._outputs = {
            name: _room(answer, place) for name, answer in zip(names, answers, strict=True)
        }
        self._session = session
        self._bound = session.io_binding()
        for name, value in self._inputs.items():
            self._bound.bind_ortvalue_input(name, value)
        for name, value in self._outputs.items():
            self._bound.bind_ortvalue_output(name, value)

    def takes(self, feed: Mapping[str, Array]) -> bool:
        """Whether it is a request like the one that was captured."""
        return _shapes(feed) == self._shapes

    def launch(
        self, names: Sequence[str] | None, feed: Mapping[str, Array], spent: Spent
    ) -> list[Array]:
        """Answer such a request; raises what ONNX Runtime does."""
        begun = time.perf_counter_ns()
        for name, value in self._inputs.items():
            value.update_inplace(np.ascontiguousarray(feed[name]))
        self._bound.synchronize_inputs()
        sent = time.perf_counter_ns()
        self._session.run_with_iobinding(self._bound)
        self._bound.synchronize_outputs()
        done = time.perf_counter_ns()
        answers = [_own(self._outputs[name].numpy()) for name in names or self._outputs]
        copied = time.perf_counter_ns() - done + sent - begun
        spent.add(copied * _S, (done - sent) * _S, captured=True)
        return answers


class CapturingSession:
    """An open model whose requests of the first one's shape are captured; not for several threads.

    Raises what the session does that it begins with.
    """

    def __init__(self, first: Recorded, plain: Callable[[], Session]) -> None:
        self.spent = first.spent
        self._outputs = first.get_outputs()
        self._first: Recorded | None = first
        self._graph: Graph | None = None
        self._open_plain = plain
        self._plain: Session | None = None

    def get_outputs(self) -> Sequence[Named]:
        """The graph's outputs, in order."""
        return self._outputs

    def run(
        self, output_names: Sequence[str] | None, input_feed: Mapping[str, Array]
    ) -> list[Array]:
        """Answer one request; the first one is asked again, to be captured.

        Raises:
            DeviceError: the runtime fails on it, or the card did not do the work.
        """
        if self._graph is not None and self._graph.takes(input_feed):
            return self._launch(self._graph, output_names, input_feed)
        if self._graph is None and self._first is not None:
            return self._begin(self._first, output_names, input_feed)
        return self._besides().run(output_names, input_feed)

    def _begin(
        self, first: Recorded, names: Sequence[str] | None, feed: Mapping[str, Array]
    ) -> list[Array]:
        answers = first.run(None, feed)
        self.spent.uncaptured = self._capture(first, feed, answers)
        if self._graph is None:
            # What failed holds no memory on the card when the other one is opened.
            self._first = None
            del first
            self._besides()
        by_name = dict(zip((one.name for one in self._outputs), answers, strict=True))
        return [by_name[name] for name in names or by_name]

    def _capture(self, first: Recorded, feed: Mapping[str, Array], answers: Sequence[Array]) -> str:
        """Why it cannot be captured, in the runtime's words; empty where it was."""
        try:
            graph = first.captured(feed, answers)
            self._launch(graph, None, feed)
        except DeviceError as error:
            return safe_text(str(error), WORDS)
        self._graph = graph
        return ""

    def _launch(
        self, graph: Graph, names: Sequence[str] | None, feed: Mapping[str, Array]
    ) -> list[Array]:
        with ort_errors():
            return graph.launch(names, feed, self.spent)

    def _besides(self) -> Session:
        """What answers all other requests; opened when the first of them comes."""
        if self._plain is None:
            self._plain = self._open_plain()
        return self._plain


def _room(array: Array, place: str) -> onnxruntime.OrtValue:
    """Memory on the card for such an array."""
    return onnxruntime.OrtValue.ortvalue_from_shape_and_type(
        array.shape, array.dtype.type, place, 0
    )


def _shapes(feed: Mapping[str, Array]) -> dict[str, tuple[tuple[int, ...], str]]:
    return {name: (array.shape, array.dtype.str) for name, array in feed.items()}


def _own(array: Array) -> Array:
    """The caller's, whatever the next request is answered."""
    return array if array.flags.owndata else array.copy()
