"""How long a build times its candidates, and how long it will take in all.

In: where it measures, what it would make and ask. Out: seconds. Light: `plan` shows it too.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from deployopt.core.artifact import Format, Precision
from deployopt.core.evidence import Estimate, Evidence
from deployopt.core.plan import Facts
from deployopt.pipeline.forecasting import Way
from deployopt.planning.build_time import Work, build_seconds

ROUND_S: Final = {Evidence.TARGET: 2.0, Evidence.PROXY: 0.5}
"""Least seconds of timed requests a round; a proxy's latency only says which form is faster."""
WALL_S: Final = {Evidence.TARGET: 240.0, Evidence.PROXY: 75.0}
"""After so long no further round is begun: the machine is too noisy to settle it."""
PATIENCE: Final = 3.0
"""So many times as long while there was no look yet: on a slow machine rounds take longer."""
# A round is a fresh process with its warm-up, and most comparisons end after so many.
_STARTED_S: Final = 1.5
_ROUNDS: Final = 8


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """Examples of each split."""

    calibration: int
    search: int
    gate: int


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """The machine that builds."""

    arch: str
    cores: int
    evidence: Evidence


def expected_build(
    facts: Facts | None, ways: Sequence[Way], form: Format, sizes: Sizes, site: Site
) -> Estimate | None:
    """Wall seconds of the whole build; None where the model's cost is not known yet."""
    if facts is None:
        return None
    quantized = [way for way in ways if way.precision is Precision.INT8]
    static = any(way.reason.startswith("static") for way in quantized)
    timing = (ROUND_S[site.evidence] + _STARTED_S) * _ROUNDS
    return build_seconds(
        facts,
        Work(
            recipes=len(ways),
            quantized=len(quantized),
            calibration=sizes.calibration if static else 0,
            search=sizes.search,
            gate=sizes.gate,
            timing_s=min(timing, WALL_S[site.evidence] / max(1, len(ways))),
            exported=form in {Format.TRANSFORMERS, Format.DIFFUSERS},
        ),
        arch=site.arch,
        cores=site.cores,
    )
