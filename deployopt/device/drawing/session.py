"""A pipeline of graphs that answers as one session: prompts and noise in, images out.

In: a Setup whose model is `drawing.json`. Out: a session of ONNX Runtime over the three graphs
beside it, on the CPU or each on the target's card. Besides `image` it gives `seconds`, what text
encoder, UNet and decoder took of it. Refuses settings that are not of their form, graphs with other
inputs than a pipeline's, and on a card what card_session.py refuses of any of them.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
import numpy as np

from deployopt.core.card import CARD_PROVIDERS
from deployopt.core.drawing import DECODER, GRAPHS, IMAGE, SECONDS, TEXT_ENCODER, UNET
from deployopt.core.errors import DeviceError, IntegrityError
from deployopt.core.interface import DrawingInputs
from deployopt.core.samples import Array
from deployopt.device.drawing.files import read_drawing
from deployopt.device.drawing.loop import NEGATIVE, NOISE, PROMPT, Drawn, Floats, Ints, draw
from deployopt.device.onnxruntime_session import open_onnxruntime
from deployopt.device.session import Named, Session, Spent, no_sign
from deployopt.device.setup import Setup

_S: Final = 1e-9


class _Output(msgspec.Struct):
    name: str


class DrawingSession:
    """The three graphs and the loop; not for several threads at once."""

    def __init__(
        self,
        inputs: DrawingInputs,
        graphs: Mapping[str, Session],
        sign: Callable[[], None] = no_sign,
        spent: Spent | None = None,
    ) -> None:
        self.inputs = inputs
        self.spent = Spent() if spent is None else spent
        """Of all graphs together, where they are on a card."""
        self._sign = sign
        self._graphs = graphs
        self._spent = dict.fromkeys(GRAPHS, 0)

    def get_outputs(self) -> Sequence[Named]:
        """The image, and how long each part took."""
        return (_Output(IMAGE), _Output(SECONDS))

    def run(
        self, output_names: Sequence[str] | None, input_feed: Mapping[str, Array]
    ) -> list[Array]:
        """Draw one request with the pipeline's own steps and guidance.

        Raises:
            DeviceError: the runtime fails on it, or an input is missing.
        """
        how = Drawn(steps=self.inputs.steps, guidance=self.inputs.guidance)
        image = self.draw(input_feed, how)
        spent = np.array(self.spent_s, dtype=np.float64)
        answers: dict[str, Array] = {IMAGE: image, SECONDS: spent}
        return [answers[name] for name in output_names or (IMAGE, SECONDS)]

    @property
    def spent_s(self) -> tuple[float, ...]:
        """What each of GRAPHS took of the last request."""
        return tuple(self._spent[name] * _S for name in GRAPHS)

    def draw(self, request: Mapping[str, Array], how: Drawn) -> Floats:
        """One image a prompt, `[batch, 3, height, width]` between -1 and 1; raises as `run`."""
        missing = [name for name in (PROMPT, NEGATIVE, NOISE) if name not in request]
        if missing:
            raise DeviceError(f"The request has no array {missing[0]!r}.")
        self._spent = dict.fromkeys(GRAPHS, 0)
        return draw(self, self.inputs, request, how)

    def encode(self, ids: Ints) -> Floats:
        """Through the text encoder."""
        return self._ask(TEXT_ENCODER, {"input_ids": ids})

    def predict(self, sample: Floats, timestep: Ints, hidden: Floats) -> Floats:
        """Through the UNet."""
        feed: dict[str, Array] = {"sample": sample, "timestep": timestep}
        return self._ask(UNET, {**feed, "encoder_hidden_states": hidden})

    def decode(self, latents: Floats) -> Floats:
        """Through the decoder."""
        return self._ask(DECODER, {"latents": latents})

    def _ask(self, name: str, feed: Mapping[str, Array]) -> Floats:
        start = time.perf_counter_ns()
        try:
            (answer,) = self._graphs[name].run(None, feed)
        except DeviceError as error:
            raise DeviceError(f"{name}: {error}") from error
        self._spent[name] += time.perf_counter_ns() - start
        self._sign()
        return answer


def open_drawing(setup: Setup, sign: Callable[[], None] = no_sign) -> DrawingSession:
    """Open the pipeline; raises as `open_session` does."""
    settings = read_drawing(setup.model)
    graphs: dict[str, Session] = {}
    spent = Spent()
    for name in GRAPHS:
        path = setup.model.with_name(name)
        if not path.is_file():
            raise IntegrityError(f"{setup.model.parent} has no {name}. Build the bundle again.")
        part = msgspec.structs.replace(setup, model=path, outputs=())
        graphs[name] = _opened(part, spent)
    return DrawingSession(settings.inputs, graphs, sign, spent)


def _opened(part: Setup, spent: Spent) -> Session:
    if part.provider not in CARD_PROVIDERS:
        return open_onnxruntime(part)
    from deployopt.device.card_session import open_on_card

    return open_on_card(part, spent)
