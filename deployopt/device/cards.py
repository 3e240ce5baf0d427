"""The GPU of this machine for the doctor: a driver, cards, and what their lack prevents.

In: what the driver says, tried in a process of its own, and the cards that NVML names. Out: a
finding.
"""

import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Final

from deployopt.core.card import EXCHANGE
from deployopt.core.diagnosis import Finding, State
from deployopt.core.engine import RTX_CAPABILITIES, sm_of
from deployopt.core.text import safe_text
from deployopt.device.gpu import GpuFound, find_gpus

_TRY_S: Final = 20
_TOPIC: Final = "gpu"
_WITHOUT: Final = (
    "engines and graphs for GPU targets are built here all the same; none can be run or measured"
)
_HAS_CUDA: Final = (
    "import onnxruntime as o; print('CUDAExecutionProvider' in o.get_available_providers())"
)


def look_at_cards(
    driver: Callable[[], str | None] | None = None,
    cards: Callable[[], tuple[GpuFound, ...]] = find_gpus,
    cuda: Callable[[], bool] | None = None,
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
    if not (cuda or _has_cuda)():
        return Finding(
            topic=_TOPIC,
            state=State.WARNING,
            says=f"{_named(found)}: the onnxruntime that is installed has no CUDA, so that graphs "
            "for cards cannot be run",
            mend=EXCHANGE,
        )
    return Finding(topic=_TOPIC, state=State.GOOD, says=_named(found))


def _named(found: Sequence[GpuFound]) -> str:
    """Each with its compute capability, and whether engines are built for it."""
    named = ", ".join(f"{safe_text(c.name, 60)} ({sm_of(c.compute_capability)})" for c in found)
    unknown = [c for c in found if c.compute_capability not in RTX_CAPABILITIES]
    if not unknown:
        return named
    return f"{named}; graphs for ONNX Runtime, and no engines, are built for {len(unknown)} of them"


def _driver() -> str | None:
    """In a process of its own: a broken driver must not break the doctor."""
    program = "from deployopt.device.cuda_driver import driver_missing as d; print(d() or '')"
    try:
        said = _said_by(program)
    except subprocess.TimeoutExpired:
        return f"the NVIDIA driver does not answer within {_TRY_S} s"
    except (OSError, subprocess.CalledProcessError):
        return "the NVIDIA driver cannot be asked"
    return safe_text(said, 200) or None


def _has_cuda() -> bool:
    """Likewise; a runtime that cannot be imported is told of with the installs."""
    try:
        return _said_by(_HAS_CUDA) == "True"
    except (OSError, subprocess.SubprocessError):
        return False


def _said_by(program: str) -> str:
    done = subprocess.run(  # noqa: S603 -- this Python and a line of ours
        [sys.executable, "-P", "-c", program],
        capture_output=True,
        text=True,
        timeout=_TRY_S,
        check=True,
    )
    return done.stdout.strip()
