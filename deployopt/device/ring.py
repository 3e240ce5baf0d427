"""Where and on which terms two bundles meet: what `compare` and a build's baseline share."""

from pathlib import Path
from typing import Final

import msgspec

from deployopt.core.comparison import Comparison, Difference, Margins
from deployopt.core.evidence import Evidence
from deployopt.core.measurement import Trial
from deployopt.core.regression import outcome_of, round_pairs
from deployopt.device.device import Device
from deployopt.device.sides import Contender

ROUND_S: Final = {Evidence.TARGET: 2.0, Evidence.PROXY: 0.5}
"""Least seconds of timed requests a round, as in a build."""
WALL_S: Final = 900.0


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """How they are compared.

    `accuracy` None is the new one's own budget, or else one point; `nll` None the same, or 2 %.
    """

    margin: float = Margins().cost
    accuracy: float | None = None
    nll: float | None = None
    """Of language models."""
    seed: int = 0
    time_limit_s: float = WALL_S
    """Of the rounds."""

    @property
    def margins(self) -> Margins:
        """As a comparison keeps them."""
        plain = Margins()
        return Margins(
            cost=self.margin,
            accuracy=plain.accuracy if self.accuracy is None else self.accuracy,
            nll=plain.nll if self.nll is None else self.nll,
        )


class Ring(msgspec.Struct, frozen=True, kw_only=True):
    """Where they meet: the device, why it is not the new one's target, a folder to send from."""

    device: Device
    mismatch: str | None
    workdir: Path

    @property
    def evidence(self) -> Evidence:
        """What a measurement there is worth."""
        return Evidence.TARGET if self.mismatch is None else Evidence.PROXY

    def conclude(
        self,
        sides: tuple[Contender, Contender],
        trials: tuple[Trial, Trial],
        differences: tuple[Difference, ...],
        refusals: tuple[str, ...],
        notes: tuple[str, ...],
        margins: Margins,
    ) -> Comparison:
        """What was found of the old one and the new one, with its outcome."""
        old, new = sides
        return Comparison(
            old=old.told,
            new=new.told,
            outcome=outcome_of(differences, refusals),
            differences=differences,
            reasons=refusals,
            notes=notes,
            margins=margins,
            machine=self.device.machine,
            where=self.device.where,
            mismatch=self.mismatch,
            rounds=round_pairs(*trials),
        )
