"""The GPU of this machine for the doctor: a driver, cards, and what their lack prevents.

In: what the driver says, tried in a process of its own, and the cards that NVML names. Out: a
finding.
"""

import subprocess
import sys
from collections.abc import Callable
from typing import Final

from deployopt.core.diagnosis import Finding, State
from deployopt.core.engine import RTX_CAPABILITIES, sm_of
from deployopt.core.text import safe_text
from deployopt.device.gpu import GpuFound, find_gpus

_TRY_S: Final = 20
_TOPIC: Final = "gpu"
_WITHOUT: Final = "engines for GPU targets are built here all the same; none can be run or measured"


def look_at_cards(
    driver: Callable[[], str | None] | None = None,
    cards: Callable[[], tuple[GpuFound, ...]] = find_gpus,
) -> Finding:
    """What there is; a machine without a card is no fault."""
    missing = (driver or _driver)()
    if missing is not None:
        return Finding(topic=_TOPIC, state=State.NOTE, says=f"{missing}: {_WITHOUT}")
    found = cards()
    if not found:
        return Finding(
            topic=_TOPIC,
            state=State.NOTE,
            says="there is a driver, and its cards cannot be named: targets with a GPU are not "
            "recognised",
            mend="pip install nvidia-ml-py",
        )
    named = ", ".join(f"{safe_text(c.name, 60)} ({sm_of(c.compute_capability)})" for c in found)
    unknown = [c for c in found if c.compute_capability not in RTX_CAPABILITIES]
    if unknown:
        says = f"{named}: TensorRT for RTX builds no engine for {len(unknown)} of them"
        return Finding(topic=_TOPIC, state=State.NOTE, says=says)
    return Finding(topic=_TOPIC, state=State.GOOD, says=named)


def _driver() -> str | None:
    """In a process of its own: a broken driver must not break the doctor."""
    program = "from deployopt.device.cuda_driver import driver_missing as d; print(d() or '')"
    try:
        done = subprocess.run(  # noqa: S603 -- this Python and a line of ours
            [sys.executable, "-P", "-c", program],
            capture_output=True,
            text=True,
            timeout=_TRY_S,
            check=True,
        )
    except subprocess.TimeoutExpired:
        return f"the NVIDIA driver does not answer within {_TRY_S} s"
    except (OSError, subprocess.CalledProcessError):
        return "the NVIDIA driver cannot be asked"
    return safe_text(done.stdout.strip(), 200) or None
