"""What a run needs, made once and kept: the emulator, a root, packages, the counter.

In: a target. Out: a Bench. Whatever is missing on this machine is said before anything is fetched.
"""

from pathlib import Path

import msgspec

from deployopt.core.target import Target
from deployopt.remote.emulation.counting import compiled_counter
from deployopt.remote.emulation.device import EmulatedDevice
from deployopt.remote.emulation.installing import Installed, small_install
from deployopt.remote.emulation.processors import Processor, processor_of
from deployopt.remote.emulation.tools import (
    COMPILER,
    MAKE_SYSTEM,
    QEMU,
    find_emulator,
    find_tools,
    refuse_arm_host,
)
from deployopt.store.layout import Layout


class Bench(msgspec.Struct, frozen=True, kw_only=True):
    """A device that can be asked, and the plugin that counts."""

    processor: Processor
    emulator: str
    packages: Installed
    device: EmulatedDevice
    counter: Path


def furnished(store: Path, target: Target, onnxruntime: str | None = None) -> Bench:
    """The bench for this target, with the version of ONNX Runtime that is asked for.

    Raises:
        UsageError: the target cannot be emulated, allows no such version, or this machine is ARM.
        DeviceError: a program is missing, or fetching failed.
        StorageError: the disk is full.
    """
    processor = processor_of(target)
    refuse_arm_host()
    home = Layout(root=store).emulation
    if not home.is_dir() or not any(home.iterdir()):
        find_tools(QEMU, MAKE_SYSTEM, COMPILER)
    emulator = find_emulator()
    packages = small_install(home, target, onnxruntime)
    return Bench(
        processor=processor,
        emulator=f"QEMU {emulator.version}",
        packages=packages,
        device=EmulatedDevice(emulator, processor, home, packages.folder),
        counter=compiled_counter(home, emulator),
    )
