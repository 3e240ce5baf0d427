"""Requests of an ONNX Runtime session whose inputs and outputs lie on the card.

In: a session of a card's provider, feeds. Out: answers, with the time that copies took apart from
the work. Memory for inputs is kept by shape, so that no request but the first of its shape waits
for some.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import onnxruntime

from deployopt.core.samples import Array
from deployopt.device.session import Spent

_SHAPES_MAX: Final = 256
"""Texts of every length come to about as many, and their ids are small."""
_S: Final = 1e-9


class Binding:
    """Of one session; not for several threads at once."""

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        place: str = "cuda",
        spent: Spent | None = None,
    ) -> None:
        self._session = session
        self._place = place
        self._names = [one.name for one in session.get_outputs()]
        self._held: dict[tuple[str, tuple[int, ...], str], onnxruntime.OrtValue] = {}
        self.spent = Spent() if spent is None else spent

    def run(
        self, output_names: Sequence[str] | None, input_feed: Mapping[str, Array]
    ) -> list[Array]:
        """Answer one request; raises what ONNX Runtime does."""
        bound = self._session.io_binding()
        begun = time.perf_counter_ns()
        for name, array in input_feed.items():
            bound.bind_ortvalue_input(name, self._sent(name, array))
        for name in output_names or self._names:
            bound.bind_output(name, self._place, 0)
        bound.synchronize_inputs()
        sent = time.perf_counter_ns()
        self._session.run_with_iobinding(bound)
        bound.synchronize_outputs()
        done = time.perf_counter_ns()
        answers: list[Array] = bound.copy_outputs_to_cpu()
        copied = time.perf_counter_ns() - done + sent - begun
        self.spent.add(copied * _S, (done - sent) * _S)
        return answers

    def _sent(self, name: str, array: Array) -> onnxruntime.OrtValue:
        key = name, array.shape, array.dtype.str
        if key not in self._held:
            if len(self._held) >= _SHAPES_MAX:
                self._held.clear()
            self._held[key] = onnxruntime.OrtValue.ortvalue_from_shape_and_type(
                array.shape, array.dtype.type, self._place, 0
            )
        self._held[key].update_inplace(np.ascontiguousarray(array))
        return self._held[key]
