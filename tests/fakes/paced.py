"""This machine, whose answers are real and whose clock is made up: for what rests on timing."""

from collections.abc import Mapping, Sequence

import numpy as np

from deployopt.core.errors import DeviceError
from deployopt.core.measurement import Machine
from deployopt.device.device import Signs, ThisMachine, one_by_one, unheard
from deployopt.device.protocol import AnswerRequest, Evaluated, Request, Timed, Timing
from deployopt.device.setup import Limits
from tests.fakes.comparing import MIB, answer_round, one_round


class PacedDevice:
    """An artifact's requests take 10 ms times its pace, each round with some noise of its own."""

    def __init__(
        self,
        paces: Mapping[str, float] | None = None,
        *,
        noise: float = 0.02,
        machine: Machine | None = None,
    ) -> None:
        self._paces = paces or {}
        self._chance = np.random.default_rng(5)
        self._noise = noise
        self._here = ThisMachine()
        self._machine = machine or self._here.machine
        self.evaluated: list[str] = []
        self.timed = 0

    @property
    def where(self) -> str:
        return "a paced machine"

    @property
    def machine(self) -> Machine:
        return self._machine

    def limits(self) -> Limits:
        return self._here.limits()

    def ask_in_turns(
        self, requests: Sequence[Timing], limits: Limits, signs: Signs = unheard
    ) -> tuple[Timed | DeviceError, ...]:
        return one_by_one(self, requests, limits, signs)

    def ask(self, request: Request, limits: Limits, signs: Signs = unheard) -> Timed | Evaluated:
        artifact = request.setup.artifact
        if not isinstance(request, Timing):
            self.evaluated.append(artifact)
            return self._here.ask(request, limits, signs)
        self.timed += 1
        level = 0.01 * self._paces.get(artifact, 1.0)
        noisy = level * float(np.exp(self._noise * self._chance.standard_normal()))
        if isinstance(request, AnswerRequest):
            return Timed(round=answer_round(noisy))
        return Timed(round=one_round(noisy, 90 * MIB, requests=40))
