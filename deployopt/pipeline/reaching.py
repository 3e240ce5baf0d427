"""A device by its address, held for as long as a call measures on it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

from deployopt.core.artifact import RuntimeName
from deployopt.core.quiet import GENAI_VERSIONS, OPENVINO_VERSIONS
from deployopt.core.target import Target
from deployopt.core.watching import Watcher

if TYPE_CHECKING:
    from deployopt.remote.ssh_device import SshDevice


@contextmanager
def reached(
    address: str | None,
    target: Target,
    runtimes: Sequence[RuntimeName],
    watcher: Watcher,
    claim: str = "",
) -> "Iterator[SshDevice | None]":
    """The device at `ssh://[user@]host[:port]`, with `runtimes` there; None where none is named.

    Raises:
        UsageError: the address is none, or the device has another architecture than the target.
        UnreachableError: it cannot be reached, or lacks what measuring needs.
    """
    if address is None:
        yield None
        return
    from deployopt.remote.ssh_device import connected

    packages = [f"onnxruntime{target.runtime.versions}"]
    if "openvino" in runtimes:
        packages.append(f"openvino{OPENVINO_VERSIONS}")
    if "onnxruntime-genai" in runtimes:
        packages.append(f"onnxruntime-genai{GENAI_VERSIONS}")
    arch = target.hardware.arch
    with connected(address, arch=arch, packages=packages, watcher=watcher, claim=claim) as device:
        yield device


def runtimes_here(target: Target) -> tuple[RuntimeName, ...]:
    """Those of the target's runtimes that this machine can build for."""
    here = target.runtime.runtimes
    return tuple(name for name in here if name != "openvino" or find_spec(name) is not None)
