"""A language model on the card that it is for, and on nothing else.

In: the runtime, the provider that a setup asks for. Refuses machines without a driver or a card, a
runtime without CUDA, and, once it is open, a model that landed on another device: a runtime that
falls back to the CPU says nothing of it.
"""

from typing import Any, Final

from deployopt.core.card import CUDA, CUDA_RUNTIME
from deployopt.core.errors import DeviceError
from deployopt.core.quiet import GENAI_VERSIONS
from deployopt.core.text import safe_text
from deployopt.device.cuda_driver import driver_missing

_INSTALL: Final = f"pip install '{CUDA_RUNTIME}{GENAI_VERSIONS}'"


def require_card() -> None:
    """Raise DeviceError where there is no driver or no card."""
    missing = driver_missing()
    if missing is not None:
        raise DeviceError(
            "The model is for a CUDA card, was built without one, and has not run yet; it cannot "
            f"be opened here: {missing}. Copy the bundle to a machine with such a card."
        )


def require_cuda(genai: Any) -> None:  # noqa: ANN401 -- the module
    """Raise DeviceError where the runtime that is installed is not the one with CUDA."""
    if not genai.is_cuda_available():
        raise DeviceError(
            "The onnxruntime-genai that is installed here has no CUDA. Install the one that has, "
            f"in place of it: pip uninstall onnxruntime-genai; {_INSTALL}"
        )


def require_on_card(model: Any) -> None:  # noqa: ANN401 -- the runtime's Model
    """Raise DeviceError where an open model is not on the card."""
    found = str(model.device_type)
    if found.casefold() != CUDA:
        raise DeviceError(
            f"onnxruntime-genai has opened the model on {safe_text(found, 40)} and not on the "
            "card: it fell back, and nothing that it did there would count. Look at the versions "
            f"of the driver and of CUDA, or install anew: {_INSTALL}"
        )
