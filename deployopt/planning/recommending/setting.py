"""What sort of place a target is: how much quality may be given up there for speed, who trains.

In: a target. Out: a setting. The lines are drawn by what the profile says, not by names of cards.
"""

from enum import StrEnum
from typing import Final

from deployopt.core.target import Target
from deployopt.planning.usable import card_count

_EMBEDDED_MAX: Final = 5e12
"""Operations a second in fp32, above which an ARM board counts as a server."""
_SERVER_MIN_BYTES: Final = 20 * 2**30
"""Memory of one GPU, from which a machine counts as a server."""


class Setting(StrEnum):
    """From the smallest to the largest."""

    EMBEDDED = "embedded"
    DESKTOP = "desktop"
    SERVER = "server"


MARGINS: Final = {Setting.EMBEDDED: 2.0, Setting.DESKTOP: 1.5, Setting.SERVER: 0.5}
"""Points of published quality within which the faster model is preferred; half a point is noise."""


def setting_of(target: Target) -> Setting:
    """Embedded: an ARM board, with or without a small GPU; server: a GPU of 20 GiB or more."""
    hardware = target.hardware
    if hardware.arch == "aarch64" and hardware.peak.fp32 < _EMBEDDED_MAX:
        return Setting.EMBEDDED
    if on_gpu(target) and hardware.memory / card_count(target) >= _SERVER_MIN_BYTES:
        return Setting.SERVER
    return Setting.DESKTOP


def on_gpu(target: Target) -> bool:
    """Whether the runtime works on a GPU."""
    return target.runtime.provider != "cpu"
