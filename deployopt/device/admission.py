"""May this bundle be measured on that machine: is it the target, and is its runtime one to trust?

In: a bundle, a machine, why it is not the target. Out: warnings. Refuses a machine that is not the
target where nobody asked for a proxy, and on the target a runtime outside of its range.
"""

from importlib import metadata
from typing import Final

import msgspec

from deployopt.core.card import CARD_PROVIDERS, ORT_GPU
from deployopt.core.errors import DeviceError, UsageError
from deployopt.core.measurement import Machine
from deployopt.core.quiet import (
    GENAI_PACKAGES,
    GENAI_VERSIONS,
    OPENVINO_VERSIONS,
    genai_missing,
    openvino_missing,
)
from deployopt.core.versions import matches as version_matches
from deployopt.device.bundle_reader import OpenBundle
from deployopt.device.device import Device, ThisMachine

_RUNTIMES: Final = ("onnxruntime", ORT_GPU)
_WHAT: Final = {
    "tensorrt-rtx": ("engine", "an"),
    "onnxruntime-genai": ("language model", "a"),
}
"""What a bundle for a card holds, by its runtime."""


def require_target(bundle: OpenBundle, device: Device, mismatch: str | None, command: str) -> None:
    """Refuse to judge where what is measured would be no evidence.

    Raises:
        UsageError: the device is not the target; says what differs and what to do.
    """
    apart = bundle.needs_card
    what, article = _WHAT.get(bundle.manifest.runtime, ("graph", "a"))
    if apart and not isinstance(device, ThisMachine):
        raise UsageError(
            f"The bundle holds {article} {what} for {bundle.target.title}, which is not sent to a "
            f"device. Copy the bundle to that machine and run `deployopt {command}` there."
        )
    if mismatch is None:
        return
    where = device.where[0].upper() + device.where[1:]
    if apart:
        raise UsageError(
            f"{where} is not the target that the bundle was built for, {bundle.target.title}: "
            f"{mismatch}. Its {what} {_standing(bundle)}; {_only_there(bundle, command)}"
        )
    raise UsageError(
        f"{where} is not the target that the bundle was built for, {bundle.target.title}: "
        f"{mismatch}. Nothing was measured. Run `deployopt {command}` on the target, reach it from "
        "here with --device ssh://USER@HOST, or add --proxy to measure here all the same; what is "
        "then found is said to be of a proxy."
    )


def runtime_warnings(bundle: OpenBundle, machine: Machine, mismatch: str | None) -> tuple[str, ...]:
    """What is odd about the runtime there.

    Raises:
        DeviceError: the machine is the target and its runtime is not one that the target allows.
    """
    if bundle.manifest.runtime == "tensorrt-rtx":
        return ()  # the session takes the version that built the engine and no other
    if bundle.manifest.runtime == "tensorrt":
        return ()  # any version builds a plan of its own
    if bundle.manifest.runtime == "openvino":
        return openvino_warnings(machine)
    generates = bundle.manifest.runtime == "onnxruntime-genai"
    return (
        *(genai_warnings(machine) if generates else ()),
        *_onnxruntime(bundle, machine, mismatch),
    )


def _onnxruntime(bundle: OpenBundle, machine: Machine, mismatch: str | None) -> tuple[str, ...]:
    """Of the package that a language model's runtime stands on, too."""
    wanted = bundle.target.runtime.versions
    found = next((machine.packages[n] for n in _RUNTIMES if n in machine.packages), None)
    if found is None:
        found = metadata.version("onnxruntime")
    try:
        allowed = version_matches(found, wanted)
    except ValueError:
        return (f"onnxruntime {found} cannot be compared with the target's range {wanted}.",)
    if allowed:
        return ()
    if mismatch is None:
        raise DeviceError(
            f"onnxruntime {found} is not one that {bundle.target.name} allows ({wanted}). Install "
            f"one that is: pip install '{_package(bundle)}{wanted}'."
        )
    return (f"onnxruntime {found} is outside of the target's range {wanted}.",)


def _package(bundle: OpenBundle) -> str:
    return ORT_GPU if bundle.target.runtime.provider in CARD_PROVIDERS else "onnxruntime"


def _only_there(bundle: OpenBundle, command: str) -> str:
    there = f"Copy the bundle to a machine with the card and run `deployopt {command}` there"
    if bundle.has_stand_in and command.startswith("verify"):
        return (
            f"it is opened on that card only. {there}, or add --proxy to see what the same graphs "
            "answer on this CPU; of their speed that says nothing, and nothing is timed."
        )
    return f"it is opened on that card only, and nothing can stand in for it. {there}."


def _standing(bundle: OpenBundle) -> str:
    """Where what is in it has run so far."""
    card = bundle.manifest.card
    if card is not msgspec.UNSET and card.ran:
        return "has run on the card where it was built"
    return "was built without the card and has not run yet"


def openvino_warnings(machine: Machine) -> tuple[str, ...]:
    """A target's range is of ONNX Runtime's versions, so another OpenVINO is no more than said."""
    if "openvino" not in machine.packages:
        raise DeviceError(openvino_missing("it is not installed"))
    return _tried("openvino", machine, OPENVINO_VERSIONS)


def genai_warnings(machine: Machine) -> tuple[str, ...]:
    """What is odd about onnxruntime-genai there; raises DeviceError where it is missing."""
    found = next((name for name in GENAI_PACKAGES if name in machine.packages), None)
    if found is None:
        raise DeviceError(genai_missing("it is not installed"))
    return _tried(found, machine, GENAI_VERSIONS)


def _tried(package: str, machine: Machine, versions: str) -> tuple[str, ...]:
    found = machine.packages[package]
    try:
        tried = version_matches(found, versions)
    except ValueError:
        tried = False
    if tried:
        return ()
    return (f"{package} {found} is outside of the range that was tried ({versions}).",)
