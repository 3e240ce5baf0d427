"""A device whose rounds are made up, for the rules that need no model."""

from collections.abc import Callable, Sequence

from deployopt.core.errors import DeviceError
from deployopt.core.measurement import Machine, Round
from deployopt.device.device import Signs, one_by_one, unheard
from deployopt.device.protocol import Evaluated, Request, Timed, TimeRequest, Timing
from deployopt.device.setup import Limits
from tests.fakes.results import MACHINE


class MadeUpDevice:
    """Answers with what `of` says for (artifact, number of that artifact's round from 1)."""

    def __init__(self, of: Callable[[str, int], Round], machine: Machine = MACHINE) -> None:
        self._of = of
        self._machine = machine
        self.asked: list[str] = []
        self.seeds: list[int] = []

    @property
    def where(self) -> str:
        return "a made-up device"

    @property
    def machine(self) -> Machine:
        return self._machine

    def limits(self) -> Limits:
        return Limits()

    def ask_in_turns(
        self, requests: Sequence[Timing], limits: Limits, signs: Signs = unheard
    ) -> tuple[Timed | DeviceError, ...]:
        return one_by_one(self, requests, limits, signs)

    def ask(self, request: Request, limits: Limits, signs: Signs = unheard) -> Timed | Evaluated:
        del limits, signs
        if not isinstance(request, TimeRequest):
            raise DeviceError("a made-up device answers no examples")
        artifact = request.setup.artifact
        self.asked.append(artifact)
        self.seeds.append(request.seed)
        return Timed(round=self._of(artifact, self.asked.count(artifact)))


def idle(artifact: str, number: int) -> Round:
    """For a device that is never asked."""
    raise DeviceError(f"round {number} of {artifact} was not expected")
